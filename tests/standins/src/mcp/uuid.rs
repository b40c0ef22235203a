//! UUID server.

use ::uuid::Uuid;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};
use rmcp::{ErrorData, ServerHandler, schemars, tool, tool_handler, tool_router};
use serde::Deserialize;

const MAX_UUIDS: u32 = 100;

/// Generates random UUIDs.
#[derive(Debug, Clone)]
pub(super) struct Uuids;

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Generate {
    /// Number of UUIDs, 1 to 100; 1 by default.
    count: Option<u32>,
}

impl Uuids {
    pub(super) fn new() -> Self {
        Self
    }
}

#[tool_router]
impl Uuids {
    #[tool(description = "Makes random (version 4) UUIDs, one a line")]
    fn generate(Parameters(Generate { count }): Parameters<Generate>) -> Result<String, ErrorData> {
        let count = count.unwrap_or(1);
        if !(1..=MAX_UUIDS).contains(&count) {
            return Err(ErrorData::invalid_params("count must be 1 to 100", None));
        }
        let made: Vec<String> = (0..count).map(|_| Uuid::new_v4().to_string()).collect();
        Ok(made.join("\n"))
    }
}

#[tool_handler]
impl ServerHandler for Uuids {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("uuid", env!("CARGO_PKG_VERSION")))
    }
}
