//! Reserve of one thread for connections beyond the limits, so that health probes get through. A new connection evicts
//! the oldest one: a flood cannot keep probes out.

use super::capacity::RESERVE_PER_THREAD;
use crate::base::subnets::SubnetId;
use std::cell::RefCell;
use std::collections::VecDeque;
use tokio::task::AbortHandle;

/// Maximum number of reserve connections per address, so that a flood evicts its own connections.
const MAX_PER_ADDRESS: usize = 4;

/// Connections of the reserve, the oldest first.
#[derive(Default)]
pub(super) struct Reserve(RefCell<VecDeque<Reserved>>);

struct Reserved {
    subnet: SubnetId,
    task: AbortHandle,
}

impl Reserve {
    /// Adds a connection, and aborts the oldest one of the same address, or of all, if there are too many.
    pub(super) fn add(&self, subnet: SubnetId, task: AbortHandle) {
        let mut connections = self.0.borrow_mut();
        connections.retain(|connection| !connection.task.is_finished());
        connections.push_back(Reserved { subnet, task });
        let of_address = connections.iter().filter(|connection| connection.subnet == subnet).count();
        let oldest = if of_address > MAX_PER_ADDRESS {
            connections.iter().position(|connection| connection.subnet == subnet)
        } else {
            (connections.len() > RESERVE_PER_THREAD).then_some(0)
        };
        if let Some(connection) = oldest.and_then(|index| connections.remove(index)) {
            connection.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::subnets::Subnets;
    use std::future::pending;
    use tokio::task::{spawn_local, yield_now};

    #[tokio::test(flavor = "local")]
    async fn the_oldest_connection_is_evicted_first_of_the_same_address() {
        let reserve = Reserve::default();
        let mut tasks = Vec::new();
        let mut add = |address: u8| {
            let task = spawn_local(pending::<()>());
            let subnets = Subnets::of([192, 0, 2, address].into());
            reserve.add(subnets.widest().id, task.abort_handle());
            tasks.push(task);
        };
        add(0);
        (0..100).for_each(|_| add(1));
        (2..14).for_each(&mut add);
        for _ in 0..10 {
            yield_now().await;
        }
        let open = |tasks: &[tokio::task::JoinHandle<()>]| -> Vec<usize> {
            (0..tasks.len()).filter(|at| !tasks[*at].is_finished()).collect()
        };
        assert_eq!(open(&tasks).len(), RESERVE_PER_THREAD);
        assert_eq!(
            open(&tasks)[..4],
            [97, 98, 99, 100],
            "address 0 was the oldest of all, and was evicted last"
        );
    }
}
