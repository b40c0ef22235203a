//! Rate limits of access tokens with an invalid signature, which bound the CPU time spent on signature verification.
//!
//! Each process counts for itself, so that MCP requests never wait for the store. Valid tokens are not counted.

use super::table::Table;
use super::{TooMany, too_many, window};
use crate::base::clock::Clock;
use crate::base::subnets::{Subnet, Subnets};
use crate::crypto::seal::{Keys, Mac, Purpose};
use parking_lot::Mutex;
use std::net::IpAddr;
use std::time::Duration;

/// Maximum number of invalid signatures per minute and subscriber.
const MAX_FORGERIES: u32 = 60;
/// Buckets of the table: 16 384 counters, 384 KiB.
const BUCKETS: u16 = 2048;

/// Counters of invalid signatures.
pub struct Forgeries {
    keys: Mac,
    counts: Mutex<Table>,
    clock: Clock,
}

/// The sender of a token, against whom an invalid signature is counted.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The client's IP address.
    pub address: IpAddr,
    /// The tag of the token's claims if this gateway issued them. Such a token is limited by its tag only: users who
    /// share an address with an attacker are not affected.
    pub tag: Option<&'a [u8]>,
}

impl Forgeries {
    /// Creates empty counters.
    pub fn new(keys: &Keys, clock: Clock) -> Self {
        Self { keys: keys.mac(Purpose::Limit), counts: Mutex::new(Table::new(BUCKETS)), clock }
    }

    /// Checks whether another signature of this sender may be verified.
    ///
    /// # Errors
    /// The limit of this minute is reached.
    pub fn check(&self, sender: Sender<'_>) -> Result<(), TooMany> {
        let now = self.clock.now();
        let counters = match sender.tag {
            Some(tag) => vec![self.tag_counter(tag)],
            None => self.address_counters(sender.address),
        };
        let counts = self.counts.lock();
        let is_below = |(key, limit): &([u8; 32], u32)| counts.read(key, window(now)) < *limit;
        if counters.iter().all(is_below) { Ok(()) } else { Err(too_many(now)) }
    }

    /// Counts an invalid signature.
    pub fn count(&self, sender: Sender<'_>) {
        let window = window(self.clock.now());
        let mut counters = self.address_counters(sender.address);
        counters.extend(sender.tag.map(|tag| self.tag_counter(tag)));
        let mut counts = self.counts.lock();
        for (key, _) in counters {
            counts.update(&key, window, |count| count.saturating_add(1));
        }
    }

    /// Returns the time until the minute ends, at least one second.
    pub fn retry_after(&self) -> Duration {
        too_many(self.clock.now()).retry_after
    }

    fn tag_counter(&self, tag: &[u8]) -> ([u8; 32], u32) {
        (self.keys.tag(&[b"forged-signature", tag]), MAX_FORGERIES)
    }

    fn address_counters(&self, address: IpAddr) -> Vec<([u8; 32], u32)> {
        let counter = |subnet: &Subnet| {
            let key = self.keys.tag(&[b"forged-token", &subnet.id]);
            (key, MAX_FORGERIES.saturating_mul(subnet.multiple))
        };
        Subnets::of(address).as_slice().iter().map(counter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::secret::SecretBytes;

    fn forgeries() -> (Forgeries, Clock) {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let keys = Keys::new(vec![SecretBytes::new(vec![1; 32])]);
        (Forgeries::new(&keys, clock.clone()), clock)
    }

    fn from(address: &str) -> Sender<'static> {
        Sender { address: address.parse().unwrap(), tag: None }
    }

    #[test]
    fn only_an_address_over_the_limit_is_refused_until_the_minute_ends() {
        let (forgeries, clock) = forgeries();
        for _ in 0..MAX_FORGERIES {
            assert_eq!(forgeries.check(from("192.0.2.1")), Ok(()));
            forgeries.count(from("192.0.2.1"));
        }
        let TooMany { retry_after } = forgeries.check(from("192.0.2.1")).unwrap_err();
        assert_eq!(forgeries.check(from("192.0.2.2")), Ok(()));
        clock.advance(retry_after);
        assert_eq!(forgeries.check(from("192.0.2.1")), Ok(()));
    }

    #[test]
    fn many_subnets_of_one_site_share_a_limit() {
        let (forgeries, _) = forgeries();
        let mut refused = 0;
        for subnet in 0..5_000 {
            let address = format!("2001:db8:1:{subnet:x}::1");
            match forgeries.check(from(&address)) {
                Ok(()) => forgeries.count(from(&address)),
                Err(_) => refused += 1,
            }
        }
        assert_eq!(5_000 - refused, 16 * MAX_FORGERIES);
        assert_eq!(forgeries.check(from("2001:db8:2::1")), Ok(()));
    }

    #[test]
    fn tokens_with_issued_claims_are_limited_by_their_tag() {
        let (forgeries, _) = forgeries();
        let of = |tag| Sender { tag: Some(tag), ..from("192.0.2.1") };
        for _ in 0..MAX_FORGERIES {
            forgeries.count(of(b"one"));
        }
        assert!(forgeries.check(of(b"one")).is_err());
        assert!(forgeries.check(from("192.0.2.1")).is_err(), "the address is counted as well");
        assert_eq!(forgeries.check(of(b"another")), Ok(()), "another token from the same address");
    }

    #[test]
    fn a_distributed_flood_does_not_affect_other_addresses() {
        let (forgeries, clock) = forgeries();
        for number in 0..20_000_u32 {
            forgeries.count(Sender { address: IpAddr::V4(number.into()), tag: None });
        }
        assert_eq!(forgeries.check(from("192.0.2.1")), Ok(()));
        clock.advance(Duration::from_mins(1));
        assert_eq!(forgeries.check(from("0.0.0.1")), Ok(()));
    }
}
