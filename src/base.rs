//! Foundation: clock, randomness, identifiers, secrets, encoding, subnets, group lists, caches, a throttle and an
//! outage log for repeated log lines, and TLS of HTTP clients.

pub mod cache;
pub mod cached_document;
#[cfg(test)]
pub(crate) mod captured_log;
pub mod clock;
pub mod encoding;
pub mod entropy;
pub mod error_chain;
pub mod group_list;
pub mod ids;
pub mod outage_log;
pub mod secret;
pub mod subnets;
pub mod throttle;
pub mod tls;
