//! Connections beyond the limits, one thread's own. They are few, and a new one takes the place of the oldest: whoever
//! fills them keeps no probe out.

use super::admission::SubnetId;
use super::capacity::RESERVE_PER_THREAD;
use std::cell::RefCell;
use std::collections::VecDeque;
use tokio::task::AbortHandle;

/// Of one address, so that a flood from there takes its own places.
const MAX_PER_ADDRESS: usize = 4;

/// The connections of the reserve, the oldest first.
#[derive(Default)]
pub(super) struct Reserve(RefCell<VecDeque<Held>>);

struct Held {
    subnet: SubnetId,
    task: AbortHandle,
}

impl Reserve {
    /// Adds a connection, and ends the oldest one if there are too many: of the same address, or of all.
    pub(super) fn add(&self, subnet: SubnetId, task: AbortHandle) {
        let mut held = self.0.borrow_mut();
        held.retain(|held| !held.task.is_finished());
        held.push_back(Held { subnet, task });
        let of_address = held.iter().filter(|held| held.subnet == subnet).count();
        let oldest = if of_address > MAX_PER_ADDRESS {
            held.iter().position(|held| held.subnet == subnet)
        } else {
            (held.len() > RESERVE_PER_THREAD).then_some(0)
        };
        if let Some(held) = oldest.and_then(|at| held.remove(at)) {
            held.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::task::{spawn_local, yield_now};

    #[tokio::test(flavor = "local")]
    async fn the_oldest_makes_room_first_of_the_same_address() {
        let reserve = Reserve::default();
        let mut tasks = Vec::new();
        let mut add = |address: u8| {
            let task = spawn_local(pending::<()>());
            reserve.add([address; 9], task.abort_handle());
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
        assert_eq!(open(&tasks)[..4], [97, 98, 99, 100], "address 0 was the oldest of all, and went last");
    }
}
