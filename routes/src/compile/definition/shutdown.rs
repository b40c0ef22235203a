//! Section `shutdown:`: times of a graceful shutdown.

use super::super::problem::{ReadResult, ValueError};
use super::super::section::{Section, SectionKeys};
use super::super::tree::Node;
use super::super::value::{duration_between, plain_or_quoted};
use crate::Shutdown;
use std::time::Duration;

pub(super) const KEYS: SectionKeys = SectionKeys {
    description: "the section",
    known: &["delay", "timeout"],
    unsupported: &[],
    misplaced: &[],
};

/// Default time from the end of the delay to the timeout.
const DRAIN_TIME: Duration = Duration::from_secs(20);

pub(super) fn shutdown(node: &Node) -> ReadResult<Shutdown> {
    let mut section = Section::open(node, &KEYS)?;
    let delay = section.optional("delay", plain_or_quoted(duration_between("0s"..="5m")));
    let delay = delay.unwrap_or(Shutdown::DEFAULT.delay);
    let timeout = section.optional("timeout", |node| after(delay, node));
    section.finish(Shutdown { delay, timeout: timeout.unwrap_or(delay + DRAIN_TIME) })
}

/// Reads the timeout, which must be longer than the delay.
fn after(delay: Duration, node: &Node) -> ReadResult<Duration> {
    let timeout = plain_or_quoted(duration_between("1s"..="1h"))(node)?;
    if timeout > delay {
        return Ok(timeout);
    }
    let message = format!("the timeout, {timeout:?}, is not longer than the delay, {delay:?}");
    let remedy = "both count from SIGTERM: write a longer one, or lower `shutdown.delay`";
    Err(vec![ValueError::new(message, remedy).at(node.line)])
}
