//! Foundation: clock, randomness, identifiers, secrets, encoding, subnets and a throttle for log lines.

pub mod clock;
pub mod encoding;
pub mod entropy;
pub mod ids;
pub mod secret;
pub mod subnets;
pub mod throttle;
