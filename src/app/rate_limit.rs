//! Rate limits: how often who may ask for what, counted in windows of a minute.
//!
//! An address is counted in its [`Subnets`]: an IPv6 site has many addresses, and all of them together may use a
//! multiple of what one may. A client is counted at its address: a `client_id` is no secret, and whoever knows one must
//! not be able to use up what its owner may do. And many clients share an address (hosted ones, offices), so that one
//! which runs wild meets its own limit long before that of all.
//!
//! A request is counted everywhere or, when one of its counters has reached its limit, nowhere: what is refused costs
//! no memory, here or in the store. Subnets are looked at first, so that an address has no more counters of clients
//! than it has requests. Each process counts for itself, in tables of a fixed size. Where replicas share a store, it
//! counts for all of them; when it does not answer, the process's own count decides alone.

mod counts;
mod forgeries;
mod table;

pub use forgeries::{Forgeries, Sender};

use crate::base::clock::Timestamp;
use crate::base::subnets::{Subnet, Subnets};
use crate::crypto::seal::{Keys, Mac, Purpose};
use crate::store::{Key, Store};
use counts::{Counter, Counts};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const WINDOW_SECONDS: u64 = 60;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Registrations of clients.
    Registration,
    /// Authorization requests.
    Authorization,
    /// Answers to consent pages, each of which may store a login.
    Consent,
    /// Logins that come back from Okta.
    Login,
    /// Token requests.
    Token,
    /// Revocations, of which there may be as many as token requests.
    Revocation,
    /// Fetches of what clients publish, which other requests lead to.
    Metadata,
}

impl Kind {
    /// Its name in keys and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Authorization => "authorization",
            Self::Consent => "consent",
            Self::Login => "login",
            Self::Token => "token",
            Self::Revocation => "revocation",
            Self::Metadata => "metadata",
        }
    }
}

/// A limit was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// When the window ends: at least a second from now.
    pub retry_after: Duration,
}

/// Counts requests and knows how many there may be.
pub struct Limits {
    most: gateway_routes::Limits,
    keys: Mac,
    counts: Mutex<Counts>,
    store: Arc<Store>,
}

impl Limits {
    /// Nothing is counted yet.
    pub fn new(most: gateway_routes::Limits, keys: &Keys, store: Arc<Store>) -> Self {
        Self { most, keys: keys.mac(Purpose::Limit), counts: Mutex::default(), store }
    }

    /// Whether this process has counted so many of this address that the next one is refused: to be asked before a
    /// body is read.
    ///
    /// # Errors
    /// The address has used up its share.
    pub fn check(&self, kind: Kind, address: IpAddr) -> Result<(), TooMany> {
        let now = self.store.clock().now();
        let counters = self.counters(kind, &Subnets::of(address), now);
        if self.counts().is_below_limits(&counters, window(now)) { Ok(()) } else { Err(too_many(now)) }
    }

    /// Counts one more request of this address, and of this client there. What one limit refuses uses up nothing of
    /// another.
    ///
    /// # Errors
    /// One of the two was asked for too often.
    pub async fn count(&self, kind: Kind, address: IpAddr, client_id: Option<&str>) -> Result<(), TooMany> {
        let now = self.store.clock().now();
        let subnets = Subnets::of(address);
        let mut counters = self.counters(kind, &subnets, now);
        // The id may be long: it is not even read for an address that has used up its share.
        if !self.counts().is_below_limits(&counters, window(now)) {
            return Err(too_many(now));
        }
        let group = counters.last().map_or([0; 32], |widest| widest.key);
        counters.extend(self.client_counter(kind, (&subnets, client_id), now));
        if !self.counts().add(&counters, window(now)) {
            return Err(too_many(now));
        }
        if !self.store.is_shared() {
            return Ok(());
        }
        let shared = counters.iter().map(|counter| (Key(counter.key), counter.limit)).collect();
        match self.store.count(Key(group), shared, window_ends(now)).await {
            Ok(None) => Ok(()),
            Ok(Some(full)) => {
                // The rest of the window needs no store.
                self.counts().refuse(&counters, full, window(now));
                Err(too_many(now))
            }
            Err(error) => {
                tracing::debug!(%error, "a request was counted by this process alone");
                Ok(())
            }
        }
    }

    /// The counters of an address, narrowest subnet first.
    fn counters(&self, kind: Kind, subnets: &Subnets, now: Timestamp) -> Vec<Counter> {
        let counter = |subnet: &Subnet| {
            let key = self.key(kind, (&subnet.id, None), now);
            Counter { key, limit: self.of_address(kind).saturating_mul(subnet.multiple), of_client: false }
        };
        subnets.as_slice().iter().map(counter).collect()
    }

    fn client_counter(
        &self,
        kind: Kind,
        (subnets, client_id): (&Subnets, Option<&str>),
        now: Timestamp,
    ) -> Option<Counter> {
        let (client_id, limit) = (client_id?, self.of_client(kind)?);
        let key = self.key(kind, (&subnets.as_slice()[0].id, Some(client_id)), now);
        Some(Counter { key, limit, of_client: true })
    }

    const fn of_address(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Registration => self.most.registrations,
            Kind::Authorization => self.most.authorizations,
            Kind::Consent => self.most.consents,
            Kind::Login => self.most.logins,
            Kind::Token | Kind::Revocation => self.most.tokens,
            Kind::Metadata => self.most.metadata_fetches,
        }
    }

    const fn of_client(&self, kind: Kind) -> Option<u32> {
        match kind {
            Kind::Authorization => Some(self.most.client_authorizations),
            Kind::Token | Kind::Revocation => Some(self.most.client_tokens),
            Kind::Metadata => Some(self.most.client_metadata_fetches),
            Kind::Registration | Kind::Consent | Kind::Login => None,
        }
    }

    /// Neither an address nor a client's id stands in the store. Each window has keys of its own: replicas whose clocks
    /// differ by less than a window never begin each other's counts anew.
    fn key(&self, kind: Kind, (subnet, client_id): (&[u8], Option<&str>), now: Timestamp) -> [u8; 32] {
        let (of, id) = client_id.map_or(("address", ""), |id| ("client", id));
        let window = window(now).to_be_bytes();
        self.keys.tag(&[kind.as_str().as_bytes(), of.as_bytes(), subnet, id.as_bytes(), &window])
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of the minute; 32 bits are enough for eight thousand years.
#[expect(clippy::cast_possible_truncation, reason = "minutes since 1970")]
const fn window(now: Timestamp) -> u32 {
    (now.seconds() / WINDOW_SECONDS) as u32
}

const fn window_ends(now: Timestamp) -> Timestamp {
    Timestamp::from_seconds((now.seconds() / WINDOW_SECONDS + 1) * WINDOW_SECONDS)
}

fn too_many(now: Timestamp) -> TooMany {
    let left = window_ends(now).since(now).as_millis().div_ceil(1000).max(1);
    TooMany { retry_after: Duration::from_secs(u64::try_from(left).unwrap_or(WINDOW_SECONDS)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_learns_when_the_minute_ends() {
        let at = |millis| too_many(Timestamp::from_millis(millis)).retry_after.as_secs();
        assert_eq!((at(60_000), at(60_001), at(119_001), at(119_999)), (60, 60, 1, 1));
    }
}
