//! Limits of connections and of concurrent requests, of all threads together.
//!
//! Each connection takes one of `limits.connections`, and one of those of its address. On HTTP/2 a request takes another
//! one while an earlier one is under way, since each may need a connection to an MCP server. Connections of a trusted
//! proxy count for nobody; of what comes through one, each request counts for the address that the proxy names.

use super::capacity::Capacity;
use crate::clock::Clock;
use crate::events::Throttle;
use crate::limits::subscriber;
use gateway_routes::Network;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts of what is open.
pub(super) struct Admission {
    capacity: Capacity,
    trusted_proxies: &'static [Network],
    counts: Mutex<Counts>,
    clock: Clock,
    full: Throttle,
    address_full: Throttle,
    not_accepted: Throttle,
}

#[derive(Default)]
struct Counts {
    all: usize,
    of_address: HashMap<Subscriber, usize>,
}

/// An IPv4 address, or the network of an IPv6 one.
pub(super) type Subscriber = [u8; 8];

/// The limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `limits.connections`.
    Full,
    /// `limits.connections_per_address`.
    Address,
}

/// The standing of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Peer {
    /// A client's own.
    #[default]
    Client,
    /// A trusted proxy's, which carries requests of many clients.
    TrustedProxy,
    /// Beyond a limit: probes are answered on it and nothing else.
    Refused(Refusal),
}

/// A place among the connections, and among those of one address. It is given back when this is dropped.
pub(super) struct Permit {
    admission: Arc<Admission>,
    is_counted: bool,
    subscriber: Option<Subscriber>,
}

impl Admission {
    pub(super) fn new(capacity: Capacity, trusted_proxies: &'static [Network], clock: Clock) -> Self {
        Self {
            capacity,
            trusted_proxies,
            counts: Mutex::default(),
            clock,
            full: Throttle::default(),
            address_full: Throttle::default(),
            not_accepted: Throttle::default(),
        }
    }

    /// Counts a connection that was accepted; without a permit, it is beyond a limit.
    pub(super) fn connection(self: &Arc<Self>, address: IpAddr) -> (Peer, Option<Permit>) {
        let is_proxy = self.is_proxy(address);
        match self.take(true, (!is_proxy).then_some(address)) {
            Ok(permit) if is_proxy => (Peer::TrustedProxy, Some(permit)),
            Ok(permit) => (Peer::Client, Some(permit)),
            Err(refusal) => (Peer::Refused(refusal), None),
        }
    }

    /// Counts a request from `address` for as long as it is under way. `is_only` says that no other one is under way on
    /// its connection: then the connection's own place is its place.
    pub(super) fn request(
        self: &Arc<Self>,
        peer: Peer,
        address: IpAddr,
        is_only: bool,
    ) -> Result<Option<Box<Permit>>, Refusal> {
        let address = match peer {
            Peer::Refused(refusal) => return Err(refusal),
            Peer::Client if is_only => return Ok(None),
            // The proxy's own requests, such as its probes.
            Peer::TrustedProxy if self.is_proxy(address) => None,
            Peer::Client | Peer::TrustedProxy => Some(address),
        };
        if is_only && address.is_none() {
            return Ok(None);
        }
        self.take(!is_only, address).map(|permit| Some(Box::new(permit)))
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }

    fn take(self: &Arc<Self>, is_counted: bool, address: Option<IpAddr>) -> Result<Permit, Refusal> {
        let subscriber = address.map(subscriber);
        let taken = self.counts().take(self.capacity, is_counted, subscriber);
        match (taken, address) {
            (Ok(()), _) => Ok(Permit { admission: Arc::clone(self), is_counted, subscriber }),
            (Err(Refusal::Address), Some(address)) => {
                self.note_address_full(address);
                Err(Refusal::Address)
            }
            (Err(refusal), _) => {
                self.note_full();
                Err(refusal)
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn take(
        &mut self,
        capacity: Capacity,
        is_counted: bool,
        subscriber: Option<Subscriber>,
    ) -> Result<(), Refusal> {
        if is_counted && self.all >= capacity.connections {
            return Err(Refusal::Full);
        }
        if let Some(subscriber) = subscriber {
            let count = self.of_address.entry(subscriber).or_default();
            if *count >= capacity.per_address {
                return Err(Refusal::Address);
            }
            *count += 1;
        }
        self.all += usize::from(is_counted);
        Ok(())
    }

    fn give_back(&mut self, is_counted: bool, subscriber: Option<Subscriber>) {
        self.all -= usize::from(is_counted);
        let Some(subscriber) = subscriber else { return };
        if let Some(count) = self.of_address.get_mut(&subscriber) {
            *count -= 1;
            if *count == 0 {
                self.of_address.remove(&subscriber);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.counts().give_back(self.is_counted, self.subscriber);
    }
}

/// Log lines: the first of a kind at once, then a count a minute.
impl Admission {
    fn note_full(&self) {
        if self.full.is_first(self.clock.now()) {
            let connections = self.capacity.connections;
            tracing::warn!(
                connections,
                "all connections are in use: further ones get 503, probes are answered"
            );
        }
    }

    fn note_address_full(&self, address: IpAddr) {
        if self.address_full.is_first(self.clock.now()) {
            let (address, connections) = (address.to_canonical(), self.capacity.per_address);
            tracing::warn!(%address, connections, "an address has all its connections in use: further ones get 429");
        }
    }

    /// Notes that the system could not give us a connection.
    pub(super) fn note_not_accepted(&self, error: &io::Error) {
        if self.not_accepted.is_first(self.clock.now()) {
            tracing::warn!(%error, "a connection could not be accepted");
        }
    }

    /// Writes the counts that are due. To be called every second or so.
    pub(super) fn report(&self) {
        let now = self.clock.now();
        if let Some(count) = self.full.take_count(now) {
            tracing::warn!(count, "connections and requests got 503: all connections were in use");
        }
        if let Some(count) = self.address_full.take_count(now) {
            tracing::warn!(count, "connections and requests got 429: their addresses had all theirs in use");
        }
        if let Some(count) = self.not_accepted.take_count(now) {
            tracing::warn!(count, "connections could not be accepted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXIES: &[Network] = &[Network::v4([10, 0, 0, 0], 8)];

    fn admission(connections: usize, per_address: usize) -> Arc<Admission> {
        let capacity = Capacity { connections, per_address };
        Arc::new(Admission::new(capacity, PROXIES, Clock::system()))
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_of_the_connections_and_gets_it_back() {
        let admission = admission(3, 2);
        let connect = |address| admission.connection(ip(address));
        let (first, second) = (connect("192.0.2.1"), connect("::ffff:192.0.2.1"));
        assert_eq!((first.0, second.0), (Peer::Client, Peer::Client));
        assert_eq!(connect("192.0.2.1").0, Peer::Refused(Refusal::Address));
        let other = connect("192.0.2.2");
        assert_eq!(other.0, Peer::Client);
        assert_eq!(connect("192.0.2.3").0, Peer::Refused(Refusal::Full));
        drop(first);
        assert_eq!(connect("192.0.2.1").0, Peer::Client);
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        let admission = admission(9, 1);
        let _first = admission.connection(ip("2001:db8:1:2::1"));
        assert_eq!(admission.connection(ip("2001:db8:1:2:ffff::9")).0, Peer::Refused(Refusal::Address));
        assert_eq!(admission.connection(ip("2001:db8:1:3::1")).0, Peer::Client);
    }

    #[test]
    fn a_request_beside_another_takes_a_place_and_a_lone_one_takes_none() {
        let admission = admission(9, 2);
        let client = ip("192.0.2.1");
        let (peer, _connection) = admission.connection(client);
        assert!(admission.request(peer, client, true).unwrap().is_none());
        let beside = admission.request(peer, client, false).unwrap();
        assert!(beside.is_some());
        assert_eq!(admission.request(peer, client, false).err(), Some(Refusal::Address));
        drop(beside);
        assert!(admission.request(peer, client, false).is_ok());
    }

    #[test]
    fn behind_a_trusted_proxy_requests_count_for_the_client_and_connections_for_nobody() {
        let admission = admission(9, 2);
        let (proxy, client) = (ip("10.0.0.1"), ip("192.0.2.1"));
        let connections: Vec<_> = (0..4).map(|_| admission.connection(proxy)).collect();
        assert!(connections.iter().all(|(peer, _)| *peer == Peer::TrustedProxy));
        let requests: Vec<_> = (0..2).map(|_| admission.request(Peer::TrustedProxy, client, true)).collect();
        assert!(requests.iter().all(Result::is_ok));
        assert_eq!(admission.request(Peer::TrustedProxy, client, true).err(), Some(Refusal::Address));
        assert!(admission.request(Peer::TrustedProxy, ip("192.0.2.2"), true).is_ok());
        assert!(admission.request(Peer::TrustedProxy, proxy, true).unwrap().is_none(), "its own probes");
        drop(requests);
        assert!(admission.request(Peer::TrustedProxy, client, true).is_ok());
    }

    #[test]
    fn what_was_given_back_leaves_nothing_behind() {
        let admission = admission(9, 9);
        for number in 0..9 {
            drop(admission.connection(IpAddr::from([192, 0, 2, number])));
        }
        let counts = admission.counts();
        assert_eq!((counts.all, counts.of_address.len()), (0, 0));
    }
}
