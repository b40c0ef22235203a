//! Dice server.

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};
use rmcp::{ErrorData, ServerHandler, schemars, tool, tool_handler, tool_router};
use serde::Deserialize;

use crate::random;

const MAX_DICE: u32 = 100;
const MAX_SIDES: u32 = 1000;

/// Rolls dice.
#[derive(Debug, Clone)]
pub(super) struct Dice;

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Roll {
    /// Number of sides, 2 to 1000; 6 by default.
    sides: Option<u32>,
    /// Number of dice, 1 to 100; 1 by default.
    count: Option<u32>,
}

impl Dice {
    pub(super) fn new() -> Self {
        Self
    }
}

#[tool_router]
impl Dice {
    #[tool(description = "Rolls dice and returns the numbers they show", annotations(read_only_hint = true))]
    fn roll(Parameters(Roll { sides, count }): Parameters<Roll>) -> Result<String, ErrorData> {
        let (sides, count) = (sides.unwrap_or(6), count.unwrap_or(1));
        if !(2..=MAX_SIDES).contains(&sides) || !(1..=MAX_DICE).contains(&count) {
            return Err(ErrorData::invalid_params("sides must be 2 to 1000, count 1 to 100", None));
        }
        let shown: Vec<String> = (0..count).map(|_| (random::below(sides) + 1).to_string()).collect();
        Ok(shown.join(", "))
    }
}

#[tool_handler]
impl ServerHandler for Dice {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("dice", env!("CARGO_PKG_VERSION")))
    }
}
