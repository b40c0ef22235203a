//! Limits of connections and concurrent requests, for all threads together.
//!
//! Each connection takes a permit of `limits.connections` and one of `limits.connections_per_address`. On HTTP/2 each
//! further concurrent request takes permits as well, since it may need another upstream connection. Connections of a
//! trusted proxy count for no address; each request through one counts for the client address that the proxy names.

use super::capacity::Capacity;
use crate::base::clock::Clock;
use crate::base::subnets::{SubnetId, Subnets};
use crate::base::throttle::Throttle;
use gateway_routes::Network;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

/// Counter of open connections and concurrent requests.
pub(super) struct Admission {
    capacity: Capacity,
    trusted_proxies: &'static [Network],
    counts: Mutex<Counts>,
    clock: Clock,
    full: Throttle,
    address_full: Throttle,
    accept_errors: Throttle,
}

#[derive(Default)]
struct Counts {
    all: usize,
    of_subnet: HashMap<SubnetId, usize>,
}

/// Exhausted limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `limits.connections`.
    Full,
    /// `limits.connections_per_address`.
    Address,
}

/// Admission class of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Peer {
    /// Connection of a client.
    #[default]
    Client,
    /// Connection of a trusted proxy, which carries requests of many clients.
    TrustedProxy,
    /// Connection beyond a limit: only health probes get a response.
    Refused(Refusal),
}

/// Permit of one connection or concurrent request; released when it is dropped.
pub(super) struct Permit {
    admission: Arc<Admission>,
    in_total: InTotal,
    subnets: Option<Subnets>,
}

/// Effect of a permit on the number of connections in total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InTotal {
    /// It counts as one.
    Counted,
    /// Its connection is counted already.
    Exempt,
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
            accept_errors: Throttle::default(),
        }
    }

    /// Counts an accepted connection; beyond a limit there is no permit.
    pub(super) fn connection(self: &Arc<Self>, address: IpAddr) -> (Peer, Option<Permit>) {
        let is_proxy = self.is_proxy(address);
        match self.take(InTotal::Counted, (!is_proxy).then_some(address)) {
            Ok(permit) if is_proxy => (Peer::TrustedProxy, Some(permit)),
            Ok(permit) => (Peer::Client, Some(permit)),
            Err(refusal) => (Peer::Refused(refusal), None),
        }
    }

    /// Counts a request from `address` while it is in flight. The only request of a connection (`is_only`) needs no
    /// permit of its own.
    pub(super) fn request(
        self: &Arc<Self>,
        peer: Peer,
        address: IpAddr,
        is_only: bool,
    ) -> Result<Option<Box<Permit>>, Refusal> {
        let address = match peer {
            Peer::Refused(refusal) => return Err(refusal),
            Peer::Client if is_only => return Ok(None),
            // Requests of the proxy itself, such as its health probes.
            Peer::TrustedProxy if self.is_proxy(address) => None,
            Peer::Client | Peer::TrustedProxy => Some(address),
        };
        if is_only && address.is_none() {
            return Ok(None);
        }
        let in_total = if is_only { InTotal::Exempt } else { InTotal::Counted };
        self.take(in_total, address).map(|permit| Some(Box::new(permit)))
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }

    fn take(self: &Arc<Self>, in_total: InTotal, address: Option<IpAddr>) -> Result<Permit, Refusal> {
        let subnets = address.map(Subnets::of);
        let taken = self.counts.lock().take(self.capacity, in_total, subnets.as_ref());
        match (taken, address) {
            (Ok(()), _) => Ok(Permit { admission: Arc::clone(self), in_total, subnets }),
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
}

impl Counts {
    fn take(
        &mut self,
        capacity: Capacity,
        in_total: InTotal,
        subnets: Option<&Subnets>,
    ) -> Result<(), Refusal> {
        if in_total == InTotal::Counted && self.all >= capacity.connections {
            return Err(Refusal::Full);
        }
        let subnets = subnets.map(Subnets::as_slice).unwrap_or_default();
        let is_full = |id: &SubnetId, multiple: u32| {
            let limit = capacity.per_address.saturating_mul(multiple as usize);
            self.of_subnet.get(id).is_some_and(|count| *count >= limit)
        };
        if subnets.iter().any(|subnet| is_full(&subnet.id, subnet.multiple)) {
            return Err(Refusal::Address);
        }
        for subnet in subnets {
            *self.of_subnet.entry(subnet.id).or_default() += 1;
        }
        self.all += usize::from(in_total == InTotal::Counted);
        Ok(())
    }

    fn release(&mut self, in_total: InTotal, subnets: Option<&Subnets>) {
        self.all -= usize::from(in_total == InTotal::Counted);
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
        self.admission.counts.lock().release(self.in_total, self.subnets.as_ref());
    }
}

/// Rate-limited log lines: the first of each kind at once, then one summary per minute.
impl Admission {
    fn note_full(&self) {
        if self.full.is_first(self.clock.now().seconds()) {
            let connections = self.capacity.connections;
            tracing::warn!(
                connections,
                "connection limit reached: further requests get 503, except health probes"
            );
        }
    }

    fn note_address_full(&self, address: IpAddr) {
        if self.address_full.is_first(self.clock.now().seconds()) {
            let (address, connections) = (address.to_canonical(), self.capacity.per_address);
            tracing::warn!(%address, connections, "connection limit of an address reached: further requests get 429");
        }
    }

    /// Logs a failed `accept`.
    pub(super) fn note_accept_error(&self, error: &io::Error) {
        if self.accept_errors.is_first(self.clock.now().seconds()) {
            tracing::warn!(%error, "a connection could not be accepted");
        }
    }

    /// Logs the summaries that are due. To be called about every second.
    pub(super) fn report(&self) {
        let now = self.clock.now().seconds();
        if let Some(count) = self.full.take_count(now) {
            tracing::warn!(count, "connections and requests got 503: connection limit reached");
        }
        if let Some(count) = self.address_full.take_count(now) {
            tracing::warn!(
                count,
                "connections and requests got 429: connection limit of their address reached"
            );
        }
        if let Some(count) = self.accept_errors.take_count(now) {
            tracing::warn!(count, "connections could not be accepted");
        }
    }
}

#[cfg(test)]
mod tests;
