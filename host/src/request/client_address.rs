//! Where a client is, as far as the host knows.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The user whom a system gives for one that it cannot name.
const NOBODY: u32 = 65_534;

/// The address of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAddress {
    /// An address with the port of the client.
    Socket(SocketAddr),
    /// An address; the proxy did not name the port.
    Ip(IpAddr),
    /// A program on this machine, through a Unix socket.
    Local {
        /// The id of its user.
        user: u32,
    },
}

impl ClientAddress {
    /// The address without the port, if there is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Socket(address) => Some(address.ip()),
            Self::Ip(address) => Some(*address),
            Self::Local { .. } => None,
        }
    }

    /// The id of the user on this machine; that of nobody for others.
    pub fn user(&self) -> u32 {
        match self {
            Self::Local { user } => *user,
            _ => NOBODY,
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Ip(address) => address.fmt(f),
            Self::Local { .. } => f.write_str("unix"),
        }
    }
}
