//! Counts of this process. A request is counted in all of its counters or in none.

use super::table::Table;

/// Buckets of the table of subnets: 65 536 counts, 1.5 MiB.
const SUBNET_BUCKETS: u16 = 8192;
/// The same for clients. They have a table of their own, so that invented clients cannot drive out a count of subnets.
const CLIENT_BUCKETS: u16 = 8192;

/// Where a request is counted, and how high.
pub(super) struct Counter {
    pub(super) key: [u8; 32],
    pub(super) limit: u32,
    /// Whether it is a client's counter; else it is a subnet's.
    pub(super) of_client: bool,
}

/// Counts of subnets and of clients.
pub(super) struct Counts {
    subnets: Table,
    clients: Table,
}

impl Default for Counts {
    fn default() -> Self {
        Self { subnets: Table::new(SUBNET_BUCKETS), clients: Table::new(CLIENT_BUCKETS) }
    }
}

impl Counts {
    /// Whether one more request may be counted in all of these.
    pub(super) fn is_below_limits(&self, counters: &[Counter], window: u32) -> bool {
        counters.iter().all(|counter| self.table(counter).read(&counter.key, window) < counter.limit)
    }

    /// Counts one more request in all of these; `false` when one of them has reached its limit, and nothing was counted.
    pub(super) fn add(&mut self, counters: &[Counter], window: u32) -> bool {
        let is_below = self.is_below_limits(counters, window);
        if is_below {
            for counter in counters {
                self.table_mut(counter).update(&counter.key, window, |count| count.saturating_add(1));
            }
        }
        is_below
    }

    /// Takes back what was counted in all of these, since the counter at the index `full` has reached its limit
    /// elsewhere, and remembers that.
    pub(super) fn refuse(&mut self, counters: &[Counter], full: usize, window: u32) {
        for (index, counter) in counters.iter().enumerate() {
            let next = |count: u32| if index == full { counter.limit } else { count.saturating_sub(1) };
            self.table_mut(counter).update(&counter.key, window, next);
        }
    }

    const fn table(&self, counter: &Counter) -> &Table {
        if counter.of_client { &self.clients } else { &self.subnets }
    }

    const fn table_mut(&mut self, counter: &Counter) -> &mut Table {
        if counter.of_client { &mut self.clients } else { &mut self.subnets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(name: u8, limit: u32, of_client: bool) -> Counter {
        Counter { key: [name; 32], limit, of_client }
    }

    #[test]
    fn what_one_limit_refuses_uses_up_nothing_of_another() {
        let mut counts = Counts::default();
        let wild = [counter(1, 5, false), counter(2, 2, true)];
        let added: Vec<bool> = (0..20).map(|_| counts.add(&wild, 7)).collect();
        assert_eq!(added.iter().filter(|added| **added).count(), 2);
        assert_eq!(counts.subnets.read(&[1; 32], 7), 2);
    }

    #[test]
    fn an_address_at_its_limit_makes_no_counter_of_a_client() {
        let mut counts = Counts::default();
        for client in 0..=255 {
            counts.add(&[counter(1, 3, false), counter(client, 2, true)], 7);
        }
        let kept = (0..=255).filter(|client| counts.clients.read(&[*client; 32], 7) > 0);
        assert_eq!(kept.count(), 3);
    }

    #[test]
    fn what_replicas_have_used_up_together_is_refused_without_asking_again() {
        let mut counts = Counts::default();
        let counters = [counter(1, 5, false), counter(2, 4, true)];
        assert!(counts.add(&counters, 7));
        counts.refuse(&counters, 1, 7);
        assert_eq!((counts.subnets.read(&[1; 32], 7), counts.clients.read(&[2; 32], 7)), (0, 4));
        assert!(!counts.add(&counters, 7));
        assert!(counts.add(&counters, 8), "in the next window");
    }
}
