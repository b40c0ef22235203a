//! Clock, randomness, secrets, encoding, subnets and a throttle for log lines, on which all else stands.

pub mod clock;
pub mod encoding;
pub mod entropy;
pub mod secret;
pub mod subnets;
pub mod throttle;
