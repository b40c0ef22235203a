//! Requests to the protected MCP servers: every method on every path below a route.

pub mod access;

use crate::app::call::Call;
use crate::app::cors::{self, Origin};
use crate::app::decision::Decision;
use crate::app::request::RequestHead;
use crate::app::request_error::RequestError;
use crate::app::state::Gateway;
use gateway_routes::Found;
use std::sync::Arc;

/// Decides about a request to an MCP server. `Origin` is validated first; a CORS preflight needs no token.
pub fn any(gateway: &Arc<Gateway>, head: Box<RequestHead>, found: Found) -> Decision {
    let origin = match Origin::check(gateway, &head.parts.headers) {
        Ok(origin) => origin,
        Err(error) => {
            let call = Call::new(&head, found.route, Origin::Unchecked);
            return Decision::Respond(call.reject(gateway, error));
        }
    };
    if !head.undefined_content && cors::is_preflight(&head.parts) {
        return Decision::Respond(cors::mcp_preflight(&head.parts, origin));
    }
    let call = Call::new(&head, found.route, origin);
    if head.undefined_content {
        return Decision::Respond(call.reject(gateway, RequestError::UndefinedContent));
    }
    access::decide(gateway, head, found, call)
}
