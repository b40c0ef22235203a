//! Rate limits of requests per client address and per OAuth client, in fixed windows of one minute.
//!
//! An address is counted in each of its [`Subnets`]: an IPv6 site has many addresses, and all of them together get a
//! multiple of the limit of one. An OAuth client is counted per address: a `client_id` is public, and an attacker who
//! knows it must not use up the owner's limit. Many clients share an address (hosted clients, offices), so a
//! misbehaving client reaches its own limit long before that of the address.
//!
//! A token request with a valid code or refresh token is counted against its grant only, so that an office may have more
//! grants than its address has requests. `app::clients` decides which one it is.
//!
//! A request is counted in all of its counters or, when one of them has reached its limit, in none: refused requests
//! use no memory, here or in the store. Subnets are checked first, so an address has at most as many client counters
//! as it has requests. Each process counts in tables of fixed size. Replicas with a shared store also count together;
//! while the store is unavailable, the process's own count decides.

mod counts;
mod forgeries;
mod table;

pub use forgeries::{Forgeries, Sender};

use crate::base::clock::Timestamp;
use crate::base::outage_log::{Messages, OutageLog};
use crate::base::subnets::{Subnet, Subnets};
use crate::crypto::seal::{Keys, Mac, Purpose};
use crate::store::{self, GrantId, Key, Store};
use counts::{Counter, Counts, Scope};
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const WINDOW_SECONDS: u64 = 60;

/// The kind of request that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Client registrations.
    Registration,
    /// Authorization requests.
    Authorization,
    /// Decisions on consent pages, each of which may store a pending login.
    Consent,
    /// Callbacks from Okta.
    Login,
    /// Token requests.
    Token,
    /// Revocations, with the limits of token requests.
    Revocation,
    /// Fetches of client metadata documents and key sets, caused by other requests.
    Metadata,
}

impl Kind {
    /// Returns the name in counter keys and audit events.
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

/// Log lines about the counters that replicas share.
const SHARED_MESSAGES: Messages = Messages {
    began: "shared rate limits are unavailable: each replica counts its own requests",
    ended: "shared rate limits are available again",
    repeated: "shared rate limits were unavailable repeatedly",
};
/// Failures in a row that are logged: a single one may be a connection that was closed.
const LOGGED_FAILURES: u32 = 3;

/// The error of an exceeded rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// Time until the window ends, at least one second.
    pub retry_after: Duration,
}

/// Request counters and their limits.
pub struct Limits {
    config: gateway_routes::Limits,
    keys: Mac,
    counts: Mutex<Counts>,
    store: Arc<Store>,
    /// Log of the shared counters.
    shared_log: OutageLog,
}

impl Limits {
    /// Creates empty counters.
    pub fn new(config: gateway_routes::Limits, keys: &Keys, store: Arc<Store>) -> Self {
        let shared_log = OutageLog::of_repeated_failures(SHARED_MESSAGES, LOGGED_FAILURES);
        Self { config, keys: keys.mac(Purpose::Limit), counts: Mutex::default(), store, shared_log }
    }

    /// Checks this process's counters of an address, and of a client at that address, without counting.
    ///
    /// # Errors
    /// The limit of the address or of the client is reached.
    pub fn check(&self, kind: Kind, address: IpAddr, client_id: Option<&str>) -> Result<(), TooMany> {
        let now = self.store.clock().now();
        let subnets = Subnets::of(address);
        let mut counters = self.counters(kind, &subnets, now);
        counters.extend(self.client_counter(kind, &subnets, client_id, now));
        if self.counts.lock().is_below_limits(&counters, window(now)) { Ok(()) } else { Err(too_many(now)) }
    }

    /// Counts a request of an address and of a client at that address. A refused request is not counted.
    ///
    /// # Errors
    /// The limit of the address or of the client is reached.
    pub async fn count(&self, kind: Kind, address: IpAddr, client_id: Option<&str>) -> Result<(), TooMany> {
        let now = self.store.clock().now();
        let subnets = Subnets::of(address);
        let mut counters = self.counters(kind, &subnets, now);
        // A client_id may be long: it is not hashed for an address over its limit.
        if !self.counts.lock().is_below_limits(&counters, window(now)) {
            return Err(too_many(now));
        }
        let group = counters.last().map_or([0; 32], |widest| widest.key);
        counters.extend(self.client_counter(kind, &subnets, client_id, now));
        self.add(&counters, group, now).await
    }

    /// Counts a request with a credential of this gateway, valid or not, in this process only: so many requests look up
    /// one credential in the store.
    ///
    /// # Errors
    /// The limit of a grant is reached by this credential alone.
    pub fn count_credential(&self, kind: Kind, credential: Key) -> Result<(), TooMany> {
        let now = self.store.clock().now();
        let counters = [self.grant_counter(kind, &[b"credential", &credential.0], now)];
        if self.counts.lock().add(&counters, window(now)) { Ok(()) } else { Err(too_many(now)) }
    }

    /// Counts a request with a valid credential of a grant. A refused request is not counted.
    ///
    /// # Errors
    /// The limit of the grant is reached.
    pub async fn count_grant(&self, kind: Kind, id: GrantId) -> Result<(), TooMany> {
        let now = self.store.clock().now();
        let counter = self.grant_counter(kind, &[b"grant", &id.0], now);
        let group = counter.key;
        self.add(&[counter], group, now).await
    }

    /// Adds a request to all counters or to none; `group` selects their slot in the store.
    async fn add(&self, counters: &[Counter], group: [u8; 32], now: Timestamp) -> Result<(), TooMany> {
        if !self.counts.lock().add(counters, window(now)) {
            return Err(too_many(now));
        }
        if !self.store.is_shared() {
            return Ok(());
        }
        let shared = counters
            .iter()
            .map(|counter| store::Counter { key: Key(counter.key), limit: counter.limit })
            .collect();
        let counted = self.store.count(Key(group), shared, window_end(now)).await;
        self.store.log_outcome(&self.shared_log, &counted);
        match counted {
            // After an error, it is counted by this process only.
            Ok(None) | Err(_) => Ok(()),
            Ok(Some(full)) => {
                // Refused locally for the rest of the window, without the store.
                self.counts.lock().refuse(counters, full, window(now));
                Err(too_many(now))
            }
        }
    }

    /// Returns the counters of an address, narrowest subnet first.
    fn counters(&self, kind: Kind, subnets: &Subnets, now: Timestamp) -> Vec<Counter> {
        let counter = |subnet: &Subnet| {
            let limit = self.address_limit(kind).saturating_mul(subnet.multiple);
            let key = self.key(kind, Scope::Subnet, &[&subnet.id, b""], now);
            Counter { key, limit, scope: Scope::Subnet }
        };
        subnets.as_slice().iter().map(counter).collect()
    }

    fn client_counter(
        &self,
        kind: Kind,
        subnets: &Subnets,
        client_id: Option<&str>,
        now: Timestamp,
    ) -> Option<Counter> {
        let (client_id, limit) = (client_id?, self.client_limit(kind)?);
        let key = self.key(kind, Scope::Client, &[&subnets.as_slice()[0].id, client_id.as_bytes()], now);
        Some(Counter { key, limit, scope: Scope::Client })
    }

    fn grant_counter(&self, kind: Kind, id: &[&[u8]; 2], now: Timestamp) -> Counter {
        let key = self.key(kind, Scope::Grant, id, now);
        Counter { key, limit: self.config.grant_tokens, scope: Scope::Grant }
    }

    const fn address_limit(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Registration => self.config.registrations,
            Kind::Authorization => self.config.authorizations,
            Kind::Consent => self.config.consents,
            Kind::Login => self.config.logins,
            Kind::Token | Kind::Revocation => self.config.tokens,
            Kind::Metadata => self.config.metadata_fetches,
        }
    }

    const fn client_limit(&self, kind: Kind) -> Option<u32> {
        match kind {
            Kind::Authorization => Some(self.config.client_authorizations),
            Kind::Token | Kind::Revocation => Some(self.config.client_tokens),
            Kind::Metadata => Some(self.config.client_metadata_fetches),
            Kind::Registration | Kind::Consent | Kind::Login => None,
        }
    }

    /// Returns the key of a counter: a MAC, so that the store contains neither addresses nor client ids. It includes
    /// the window: replicas with clock skew do not reset each other's counters.
    fn key(&self, kind: Kind, scope: Scope, id: &[&[u8]; 2], now: Timestamp) -> [u8; 32] {
        let window = window(now).to_be_bytes();
        self.keys.tag(&[kind.as_str().as_bytes(), scope.as_str().as_bytes(), id[0], id[1], &window])
    }
}

/// Returns the number of the window since 1970; 32 bits last for eight thousand years.
#[expect(clippy::cast_possible_truncation, reason = "minutes since 1970")]
const fn window(now: Timestamp) -> u32 {
    (now.seconds() / WINDOW_SECONDS) as u32
}

/// Returns the end of the current window.
const fn window_end(now: Timestamp) -> Timestamp {
    Timestamp::from_seconds((now.seconds() / WINDOW_SECONDS + 1) * WINDOW_SECONDS)
}

fn too_many(now: Timestamp) -> TooMany {
    let left = window_end(now).since(now).as_millis().div_ceil(1000).max(1);
    TooMany { retry_after: Duration::from_secs(u64::try_from(left).unwrap_or(WINDOW_SECONDS)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_the_end_of_the_minute() {
        let at = |millis| too_many(Timestamp::from_millis(millis)).retry_after.as_secs();
        assert_eq!((at(60_000), at(60_001), at(119_001), at(119_999)), (60, 60, 1, 1));
    }
}
