//! Background tasks of `serve`: store pings for readiness and clock comparison, polling of the revocations of other
//! replicas, and closing of streams whose grants have ended.

use crate::app::state::Gateway;
use crate::base::outage_log::{Messages, OutageLog};
use crate::endpoints::mcp::access;
use crate::store::Cursor;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Interval at which open streams are closed whose grants are no longer valid.
const STREAM_CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// Interval at which the revocations of other replicas are polled.
const REVOCATION_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Delay between pings of the store until the gateway is ready.
const STORE_RETRY_DELAY: Duration = Duration::from_millis(500);
/// Interval at which this machine's clock is compared with the store's.
const CLOCK_CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Failed polls of revocations in a row that are logged: a single one may be a connection that was closed.
const LOGGED_POLL_FAILURES: u32 = 3;
/// Failed clock comparisons in a row that are logged.
const LOGGED_CLOCK_CHECK_FAILURES: u32 = 2;

const START_MESSAGES: Messages = Messages {
    began: "the gateway is not ready: the store rejects its ping",
    ended: "the store accepts the gateway's ping",
    repeated: "the store rejected the gateway's ping repeatedly",
};
const CLOCK_CHECK_MESSAGES: Messages = Messages {
    began: "comparing format and clock with the store failed",
    ended: "comparing format and clock with the store works again",
    repeated: "comparing format and clock with the store failed repeatedly",
};
const POLL_MESSAGES: Messages = Messages {
    began: "reading the revocations of other replicas from the store failed: their streams end later than usual",
    ended: "the revocations of other replicas are available again",
    repeated: "reading the revocations of other replicas from the store failed repeatedly",
};

/// Starts the tasks.
pub(super) fn spawn(control: &Runtime, gateway: &Arc<Gateway>) {
    control.spawn(ping(Arc::clone(gateway)));
    control.spawn(poll_revocations(Arc::clone(gateway)));
    control.spawn(close_ended_streams(Arc::clone(gateway)));
}

/// Pings the store until it responds, which makes the gateway ready; then compares the clocks.
async fn ping(gateway: Arc<Gateway>) {
    let store = &gateway.store;
    let log = OutageLog::new(START_MESSAGES);
    loop {
        let pinged = store.ping().await;
        store.log_outcome(&log, &pinged);
        if pinged.is_ok() {
            break;
        }
        sleep(STORE_RETRY_DELAY).await;
    }
    gateway.set_ready();
    tracing::info!("ready: the store responds");
    let log = OutageLog::of_repeated_failures(CLOCK_CHECK_MESSAGES, LOGGED_CLOCK_CHECK_FAILURES);
    while store.is_shared() {
        sleep(CLOCK_CHECK_INTERVAL).await;
        store.log_outcome(&log, &store.ping().await);
    }
}

async fn poll_revocations(gateway: Arc<Gateway>) {
    let (mut ticks, mut cursor) = (interval(REVOCATION_POLL_INTERVAL), Cursor(0));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let log = OutageLog::of_repeated_failures(POLL_MESSAGES, LOGGED_POLL_FAILURES);
    loop {
        ticks.tick().await;
        let polled = gateway.grants.poll_revocations(cursor).await;
        gateway.store.log_outcome(&log, &polled);
        cursor = polled.unwrap_or(cursor);
        gateway.failure_log.write_counts();
    }
}

async fn close_ended_streams(gateway: Arc<Gateway>) {
    let mut ticks = interval(STREAM_CHECK_INTERVAL);
    loop {
        ticks.tick().await;
        gateway.grants.close_ended_streams(|grant| access::is_still_authorized(&gateway, grant)).await;
    }
}
