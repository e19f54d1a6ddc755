//! One version after another: the gate, canaries, rollbacks, and the config read again.

mod canary;
mod follow;
mod gate;
mod migration;
mod pin;
mod reload;
mod rollback;
mod swaps;
