//! Through the real door: a real host, real sockets, real databases, a real browser.

mod wire;
