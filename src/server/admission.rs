//! Limits of connections and of concurrent requests, of all threads together.
//!
//! Each connection takes one of `limits.connections`, and one of those of its address. On HTTP/2 a request takes another
//! one while an earlier one is under way, since each may need a connection to an MCP server. Connections of a trusted
//! proxy count for nobody; of what comes through one, each request counts for the address that the proxy names.

use super::capacity::Capacity;
use crate::base::clock::Clock;
use crate::base::subnets::Subnets;
use crate::base::throttle::Throttle;
use gateway_routes::Network;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
    of_subnet: HashMap<SubnetId, usize>,
}

/// [`crate::base::subnets::Subnet::id`].
pub(super) type SubnetId = [u8; 9];

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
    subnets: Option<Subnets>,
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
        let subnets = address.map(Subnets::of);
        let taken = self.counts().take(self.capacity, is_counted, subnets.as_ref());
        match (taken, address) {
            (Ok(()), _) => Ok(Permit { admission: Arc::clone(self), is_counted, subnets }),
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
        subnets: Option<&Subnets>,
    ) -> Result<(), Refusal> {
        if is_counted && self.all >= capacity.connections {
            return Err(Refusal::Full);
        }
        let subnets = subnets.map(Subnets::as_slice).unwrap_or_default();
        let is_full = |id: &SubnetId, multiple: u32| {
            let most = capacity.per_address.saturating_mul(multiple as usize);
            self.of_subnet.get(id).is_some_and(|count| *count >= most)
        };
        if subnets.iter().any(|subnet| is_full(&subnet.id, subnet.multiple)) {
            return Err(Refusal::Address);
        }
        for subnet in subnets {
            *self.of_subnet.entry(subnet.id).or_default() += 1;
        }
        self.all += usize::from(is_counted);
        Ok(())
    }

    fn give_back(&mut self, is_counted: bool, subnets: Option<&Subnets>) {
        self.all -= usize::from(is_counted);
        for subnet in subnets.map(Subnets::as_slice).unwrap_or_default() {
            if let Entry::Occupied(mut count) = self.of_subnet.entry(subnet.id) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.counts().give_back(self.is_counted, self.subnets.as_ref());
    }
}

/// Log lines: the first of a kind at once, then a count a minute.
impl Admission {
    fn note_full(&self) {
        if self.full.is_first(self.clock.now().seconds()) {
            let connections = self.capacity.connections;
            tracing::warn!(
                connections,
                "all connections are in use: further ones get 503, probes are answered"
            );
        }
    }

    fn note_address_full(&self, address: IpAddr) {
        if self.address_full.is_first(self.clock.now().seconds()) {
            let (address, connections) = (address.to_canonical(), self.capacity.per_address);
            tracing::warn!(%address, connections, "an address has all its connections in use: further ones get 429");
        }
    }

    /// Notes that the system could not give us a connection.
    pub(super) fn note_not_accepted(&self, error: &io::Error) {
        if self.not_accepted.is_first(self.clock.now().seconds()) {
            tracing::warn!(%error, "a connection could not be accepted");
        }
    }

    /// Writes the counts that are due. To be called every second or so.
    pub(super) fn report(&self) {
        let now = self.clock.now().seconds();
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
mod tests;
