//! Limits of access tokens whose signature is wrong, so that nobody has a proxy thread verify signatures all day.
//!
//! Counted by this process alone: no request to a server waits for the store on that account. Tokens that verify do not
//! count.

use super::table::Table;
use super::{TooMany, too_many, window};
use crate::base::clock::Clock;
use crate::base::subnets::{Subnet, Subnets};
use crate::crypto::seal::{Keys, Mac, Purpose};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many a subscriber may send in a minute before it is told to wait.
const MAX_FORGERIES: u32 = 60;
/// Buckets of the table: 16 384 counts, 384 KiB.
const BUCKETS: u16 = 2048;

/// Counts of tokens whose signature is wrong.
pub struct Forgeries {
    keys: Mac,
    counts: Mutex<Table>,
    clock: Clock,
}

/// Who a wrong signature is counted against.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Where the token comes from.
    pub address: IpAddr,
    /// The tag of its claims, if this gateway wrote them. Such a token is limited by itself alone: people behind one
    /// address with somebody who sends forgeries sign in and go on as ever.
    pub tag: Option<&'a [u8]>,
}

impl Forgeries {
    /// Nothing is counted yet.
    pub fn new(keys: &Keys, clock: Clock) -> Self {
        Self { keys: keys.mac(Purpose::Limit), counts: Mutex::new(Table::new(BUCKETS)), clock }
    }

    /// Whether there were so few of them that another signature is verified.
    ///
    /// # Errors
    /// There were too many within this minute.
    pub fn check(&self, sender: Sender<'_>) -> Result<(), TooMany> {
        let now = self.clock.now();
        let counters = match sender.tag {
            Some(tag) => vec![self.of_claims(tag)],
            None => self.of_address(sender.address),
        };
        let counts = self.counts();
        let is_below = |(key, limit): &([u8; 32], u32)| counts.read(key, window(now)) < *limit;
        if counters.iter().all(is_below) { Ok(()) } else { Err(too_many(now)) }
    }

    /// Counts one more.
    pub fn count(&self, sender: Sender<'_>) {
        let window = window(self.clock.now());
        let mut counters = self.of_address(sender.address);
        counters.extend(sender.tag.map(|tag| self.of_claims(tag)));
        let mut counts = self.counts();
        for (key, _) in counters {
            counts.update(&key, window, |count| count.saturating_add(1));
        }
    }

    /// When the minute ends: at least a second from now.
    pub fn retry_after(&self) -> Duration {
        too_many(self.clock.now()).retry_after
    }

    fn of_claims(&self, tag: &[u8]) -> ([u8; 32], u32) {
        (self.keys.tag(&[b"forged-signature", tag]), MAX_FORGERIES)
    }

    fn of_address(&self, address: IpAddr) -> Vec<([u8; 32], u32)> {
        let counter = |subnet: &Subnet| {
            let key = self.keys.tag(&[b"forged-token", &subnet.id]);
            (key, MAX_FORGERIES.saturating_mul(subnet.multiple))
        };
        Subnets::of(address).as_slice().iter().map(counter).collect()
    }

    fn counts(&self) -> MutexGuard<'_, Table> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn an_address_that_forges_waits_until_the_minute_ends_and_nobody_else_does() {
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
    fn a_site_that_forges_from_many_subnets_waits_as_a_whole() {
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
    fn claims_of_ours_are_limited_by_themselves() {
        let (forgeries, _) = forgeries();
        let of = |tag| Sender { tag: Some(tag), ..from("192.0.2.1") };
        for _ in 0..MAX_FORGERIES {
            forgeries.count(of(b"one"));
        }
        assert!(forgeries.check(of(b"one")).is_err());
        assert!(forgeries.check(from("192.0.2.1")).is_err(), "they count for the address too");
        assert_eq!(forgeries.check(of(b"another")), Ok(()), "of somebody else behind that address");
    }

    #[test]
    fn a_flood_from_everywhere_makes_nobody_wait_who_sent_nothing() {
        let (forgeries, clock) = forgeries();
        for number in 0..20_000_u32 {
            forgeries.count(Sender { address: IpAddr::V4(number.into()), tag: None });
        }
        assert_eq!(forgeries.check(from("192.0.2.1")), Ok(()));
        clock.advance(Duration::from_mins(1));
        assert_eq!(forgeries.check(from("0.0.0.1")), Ok(()));
    }
}
