//! From bytes to a component: the compiled code on disk, and what a module is granted.

mod cache;
mod grants;
