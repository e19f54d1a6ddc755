//! Through the real door: a real host, real sockets, real databases, a real browser.

mod browser;
mod build;
mod chat;
mod closing;
mod commands;
mod dev;
mod examples;
mod faults;
mod grants;
mod guestbook;
mod handshake;
mod lifecycle;
mod limits;
mod opening;
mod outage;
mod protocol;
mod serve;
mod slow_clients;
mod sql;
mod timers;
mod topics;
mod transactions;
mod wire;
