//! Counters of this process. A request is counted in all of its counters or in none.

use super::table::Table;

/// Buckets of the subnet table: 65 536 counters, 1.5 MiB.
const SUBNET_BUCKETS: u16 = 8192;
/// Buckets of the client table. It is separate, so that made-up client ids cannot evict the counters of subnets.
const CLIENT_BUCKETS: u16 = 8192;

/// Buckets of the table of grants, which only credentials of this gateway create counters in.
const GRANT_BUCKETS: u16 = 8192;

/// A counter's key and limit.
pub(super) struct Counter {
    pub(super) key: [u8; 32],
    pub(super) limit: u32,
    pub(super) scope: Scope,
}

/// Scope of a counter; each has a table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Subnet,
    /// A client at an address.
    Client,
    /// A grant, or a credential of one.
    Grant,
}

impl Scope {
    /// Name in the keys of counters.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Subnet => "address",
            Self::Client => "client",
            Self::Grant => "grant",
        }
    }
}

/// The counters, by their scope.
pub(super) struct Counts {
    subnets: Table,
    clients: Table,
    grants: Table,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            subnets: Table::new(SUBNET_BUCKETS),
            clients: Table::new(CLIENT_BUCKETS),
            grants: Table::new(GRANT_BUCKETS),
        }
    }
}

impl Counts {
    /// Returns `true` if all counters are below their limits.
    pub(super) fn is_below_limits(&self, counters: &[Counter], window: u32) -> bool {
        counters.iter().all(|counter| self.table(counter).read(&counter.key, window) < counter.limit)
    }

    /// Counts a request in all counters; returns `false`, counting nothing, if one of them has reached its limit.
    pub(super) fn add(&mut self, counters: &[Counter], window: u32) -> bool {
        let is_below = self.is_below_limits(counters, window);
        if is_below {
            for counter in counters {
                self.table_mut(counter).update(&counter.key, window, |count| count.saturating_add(1));
            }
        }
        is_below
    }

    /// Undoes the last request in all counters and sets the one at the index `full` to its limit, which the replicas
    /// have reached together.
    pub(super) fn refuse(&mut self, counters: &[Counter], full: usize, window: u32) {
        for (index, counter) in counters.iter().enumerate() {
            let next = |count: u32| if index == full { counter.limit } else { count.saturating_sub(1) };
            self.table_mut(counter).update(&counter.key, window, next);
        }
    }

    const fn table(&self, counter: &Counter) -> &Table {
        match counter.scope {
            Scope::Subnet => &self.subnets,
            Scope::Client => &self.clients,
            Scope::Grant => &self.grants,
        }
    }

    const fn table_mut(&mut self, counter: &Counter) -> &mut Table {
        match counter.scope {
            Scope::Subnet => &mut self.subnets,
            Scope::Client => &mut self.clients,
            Scope::Grant => &mut self.grants,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(name: u8, limit: u32, scope: Scope) -> Counter {
        Counter { key: [name; 32], limit, scope }
    }

    #[test]
    fn a_refused_request_is_not_counted() {
        let mut counts = Counts::default();
        let counters = [counter(1, 5, Scope::Subnet), counter(2, 2, Scope::Client)];
        let added: Vec<bool> = (0..20).map(|_| counts.add(&counters, 7)).collect();
        assert_eq!(added.iter().filter(|added| **added).count(), 2);
        assert_eq!(counts.subnets.read(&[1; 32], 7), 2);
    }

    #[test]
    fn an_address_at_its_limit_creates_no_client_counters() {
        let mut counts = Counts::default();
        for client in 0..=255 {
            counts.add(&[counter(1, 3, Scope::Subnet), counter(client, 2, Scope::Client)], 7);
        }
        let kept = (0..=255).filter(|client| counts.clients.read(&[*client; 32], 7) > 0);
        assert_eq!(kept.count(), 3);
    }

    #[test]
    fn a_limit_that_replicas_reach_together_is_enforced_locally() {
        let mut counts = Counts::default();
        let counters = [counter(1, 5, Scope::Subnet), counter(2, 4, Scope::Client)];
        assert!(counts.add(&counters, 7));
        counts.refuse(&counters, 1, 7);
        assert_eq!((counts.subnets.read(&[1; 32], 7), counts.clients.read(&[2; 32], 7)), (0, 4));
        assert!(!counts.add(&counters, 7));
        assert!(counts.add(&counters, 8), "in the next window");
    }
}
