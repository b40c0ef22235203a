//! JOSE, and authenticated encryption and MACs under keys derived from `GATEWAY_SECRET`.

pub mod jose;
pub mod seal;
