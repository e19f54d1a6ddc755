//! How many connections each address has (`connections_per_address`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::request::ClientAddress;

/// The number of connections from each address.
#[derive(Default)]
pub struct Addresses {
    open: Mutex<HashMap<Owner, usize>>,
}

/// Whose connections count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    Network(IpAddr),
    /// A user of this machine.
    User(u32),
}

impl Owner {
    /// A customer of a provider usually has a whole /64 of IPv6 (RFC 6177).
    fn of(address: &ClientAddress) -> Self {
        match address.ip().map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(address)) => Self::Network(address.into()),
            Some(IpAddr::V6(address)) => {
                Self::Network(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into())
            }
            None => Self::User(address.user()),
        }
    }
}

/// Counts one connection for its address.
pub struct Place {
    addresses: Arc<Addresses>,
    owner: Owner,
}

impl Addresses {
    /// Count one connection from `address`, unless there are `most` already.
    pub fn enter(addresses: &Arc<Self>, address: &ClientAddress, most: usize) -> Option<Place> {
        let owner = Owner::of(address);
        let mut open = addresses.open.lock();
        let count = open.entry(owner).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { addresses: Arc::clone(addresses), owner })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock();
        if let Some(count) = open.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_counts_as_one_address() {
        let network = |address: &str| Owner::of(&ClientAddress::Ip(address.parse().unwrap()));
        let owner = |address: &str| Owner::Network(address.parse().unwrap());
        assert_eq!(network("192.0.2.7"), owner("192.0.2.7"));
        assert_eq!(network("::ffff:192.0.2.7"), owner("192.0.2.7"));
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), owner("2001:db8:1:2::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(Owner::of(&ClientAddress::Local { user: 1 }), Owner::of(&ClientAddress::Local { user: 2 }));
    }
}
