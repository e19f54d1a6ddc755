//! A running app: what its calls may do, its topics and its timers.

mod faults;
mod timers;
mod topics;
