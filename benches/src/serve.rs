//! Gateway within this program with a given number of routes, so that counting instructions needs no further build.

use crate::compiled::SITE;
use crate::gateway::MCP_PATH;
use crate::{Outcome, backend};
use gateway::cli;
use gateway_routes::{Route, Shutdown, Site, Table, Target};
use std::time::Duration;

/// Serves until SIGTERM, with settings from the environment.
pub(crate) fn run(routes: usize) -> Outcome<()> {
    let leaked: &'static [Route] = (0..routes).map(route).collect::<Vec<_>>().leak();
    let slots = match routes {
        1 => Table::slots::<{ Table::size(1) }>(leaked).to_vec(),
        1000 => Table::slots::<{ Table::size(1000) }>(leaked).to_vec(),
        _ => return Err("1 or 1000 routes".into()),
    };
    let shutdown = Shutdown { delay: Duration::ZERO, ..SITE.shutdown };
    let site = Site { table: Table::new(leaked, slots.leak()), shutdown, ..SITE };
    let site: &'static Site = Box::leak(Box::new(site));
    Ok(cli::serve(site)?)
}

/// Builds a route; the first one receives the requests.
fn route(number: usize) -> Route {
    let pattern = if number == 0 { format!("{MCP_PATH}/") } else { format!("/mcp/route-{number:03}/") };
    let authority = format!("127.0.0.1:{}", backend::PORT).leak();
    let target = Target {
        tls: false,
        host: "127.0.0.1",
        port: backend::PORT,
        authority,
        path: "",
        trailing_slash: false,
    };
    Route { pattern: pattern.leak(), target, ..SITE.table.routes()[0] }
}
