//! The application state and what every endpoint uses: the request context, calls, responses, CORS, cookies, the audit
//! log, rate limits and client authentication.

pub mod audit;
pub mod audit_subject;
pub mod call;
pub mod client_address;
pub mod clients;
pub mod control_work;
pub mod cookies;
pub mod cors;
pub mod decision;
pub mod failure;
pub mod failure_log;
pub mod interruption;
pub mod rate_limit;
pub mod reply;
pub mod request;
pub mod request_error;
pub mod state;
