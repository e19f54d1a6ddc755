//! The life of a connection: its protocol, its order, its bounds, its end.

mod closing;
mod lifecycle;
mod limits;
mod protocol;
mod slow_clients;
mod wire;
