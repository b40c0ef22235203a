//! How often who may ask for what, counted in windows of a minute.
//!
//! Each process counts for itself first, in a table of a fixed size. Where replicas share a store, it counts for
//! all of them, in the same windows, which go by its clock; when it does not answer, the process's own count decides alone.
//!
//! A client is counted at its address: a `client_id` is no secret, and whoever knows one must not be able to use up
//! what its owner may do. And many clients share an address (hosted ones, offices), so that one which runs wild
//! meets its own limit long before that of all.

mod table;

use crate::clock::Timestamp;
use crate::seal::{Keys, Mac, Purpose};
use crate::store::{Key, Store};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use table::Table;

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
    here: Table,
    store: Arc<Store>,
}

impl Limits {
    /// Nothing is counted yet.
    pub fn new(most: gateway_routes::Limits, keys: &Keys, store: Arc<Store>) -> Self {
        Self { most, keys: keys.mac(Purpose::Limit), here: Table::new(), store }
    }

    /// Whether this process has counted so many of this address that the next one is refused: to be asked before a
    /// body is read.
    ///
    /// # Errors
    /// The address has used up its share.
    pub fn look(&self, kind: Kind, address: IpAddr) -> Result<(), TooMany> {
        let now = self.store.clock().now();
        let counted = self.here.read(&self.key(kind, address, ""), window(now));
        if counted < self.of_address(kind) { Ok(()) } else { Err(too_many(now)) }
    }

    /// Counts one more request of this address, and of this client there. What a client's own limit refuses does
    /// not use up its address's share.
    ///
    /// # Errors
    /// One of the two was asked for too often.
    pub async fn count(&self, kind: Kind, address: IpAddr, client_id: Option<&str>) -> Result<(), TooMany> {
        if let (Some(client_id), Some(most)) = (client_id, self.of_client(kind)) {
            self.count_one(self.key(kind, address, client_id), most).await?;
        }
        self.count_one(self.key(kind, address, ""), self.of_address(kind)).await
    }

    async fn count_one(&self, key: [u8; 32], most: u32) -> Result<(), TooMany> {
        let now = self.store.clock().now();
        if self.here.add(&key, window(now)) > most {
            return Err(too_many(now));
        }
        if !self.store.is_shared() {
            return Ok(());
        }
        match self.store.count(Key(key), window_ends(now)).await {
            Ok(everywhere) if everywhere > u64::from(most) => {
                // The rest of the window needs no store.
                self.here.raise(&key, window(now), most);
                Err(too_many(now))
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "a request was counted by this process alone");
                Ok(())
            }
        }
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

    /// Neither an address nor a client's id stands in the store.
    fn key(&self, kind: Kind, address: IpAddr, client_id: &str) -> [u8; 32] {
        self.keys.tag(&[kind.as_str().as_bytes(), &subscriber(address), client_id.as_bytes()])
    }
}

/// Who is at this address. An IPv6 subscriber has 64 bits to choose addresses from (RFC 6177), so those do not count.
pub fn subscriber(address: IpAddr) -> [u8; 8] {
    match address.to_canonical() {
        IpAddr::V4(address) => (u64::from(u32::MAX) << 32 | u64::from(address.to_bits())).to_be_bytes(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments().map(u64::from);
            (a << 48 | b << 32 | c << 16 | d).to_be_bytes()
        }
    }
}

const fn window(now: Timestamp) -> u64 {
    now.seconds() / WINDOW_SECONDS
}

const fn window_ends(now: Timestamp) -> Timestamp {
    Timestamp::from_seconds((window(now) + 1) * WINDOW_SECONDS)
}

fn too_many(now: Timestamp) -> TooMany {
    let left = window_ends(now).since(now).as_millis().div_ceil(1000).max(1);
    TooMany { retry_after: Duration::from_secs(u64::try_from(left).unwrap_or(WINDOW_SECONDS)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_subscriber_is_one_whichever_of_its_addresses_it_takes() {
        let of = |address: &str| subscriber(address.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("192.0.2.1"), of("::192.0.2.1"));
    }

    #[test]
    fn who_is_refused_learns_when_the_minute_ends() {
        let at = |millis| too_many(Timestamp::from_millis(millis)).retry_after.as_secs();
        assert_eq!((at(60_000), at(60_001), at(119_001), at(119_999)), (60, 60, 1, 1));
    }
}
