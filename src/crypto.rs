//! Cryptography: JOSE, and authenticated encryption and MACs with keys derived from `GATEWAY_SECRET`.

pub mod jose;
pub mod seal;
