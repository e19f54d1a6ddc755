//! End-to-end tests: a real host, real sockets, real databases, a real browser. The folders mirror those of the host's
//! source.

// The futures of tests are nested deeply: an optimised build computes their layout beyond the default limit.
#![recursion_limit = "256"]

mod admin;
mod api;
mod auth;
mod book;
mod client;
mod client_protocol;
mod cluster;
mod commands;
mod contained;
mod examples;
mod handshake;
mod packages;
mod record;
mod testkit;
mod traces;
mod transcripts;

/// A running app: what its calls may do, its topics and its timers.
mod app {
    mod direct;
    mod faults;
    mod replies;
    mod timers;
    mod topics;
    mod turns;
}

/// Databases as modules use them, and databases that fail.
mod database {
    mod large_rows;
    mod outage;
    mod outbox;
    mod parts;
    mod sessions;
    mod sql;
    mod tls;
    mod transactions;
}

/// Deploys: the gate, canaries, rollbacks, and reloads of the config.
mod deploy {
    mod canary;
    mod follow;
    mod gate;
    mod migration;
    mod pin;
    mod reload;
    mod rollback;
    mod swaps;
}

/// What fails around the host: databases, networks, open files, disks, clocks.
mod faults {
    mod clock;
    mod database;
    mod disk;
    mod files;
    mod network;
}

/// From bytes to a component: compiled code on disk, and what a module is granted.
mod module {
    mod cache;
    mod grants;
}

/// The life of a connection: its protocol, its order, its bounds, its end.
mod session {
    mod closing;
    mod compression;
    mod late_ends;
    mod lifecycle;
    mod limits;
    mod memory;
    mod progress;
    mod protocol;
    mod slow_clients;
    mod wire;
}
