//! Through the real door: a real host, real sockets, real databases, a real browser.

#![recursion_limit = "256"]

mod admin;
mod browser;
mod build;
mod cache;
mod canary;
mod chat;
mod closing;
mod commands;
mod dev;
mod examples;
mod faults;
mod follow;
mod gate;
mod grants;
mod guestbook;
mod handshake;
mod lifecycle;
mod limits;
mod migration;
mod module;
mod new;
mod opening;
mod outage;
mod pin;
mod protocol;
mod record;
mod reload;
mod rollback;
mod serve;
mod slow_clients;
mod sql;
mod swaps;
mod testkit;
mod timers;
mod topics;
mod transactions;
mod transcripts;
mod wire;
