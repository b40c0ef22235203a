//! `GET /`: the landing page with the URLs of the MCP servers.

use crate::app::reply;
use crate::app::state::Gateway;
use crate::oauth::resource;
use crate::pages::{Landing, ServerCard};
use bytes::Bytes;
use http::{Response, StatusCode};

/// Returns the landing page with a card for each MCP server.
pub fn get(gateway: &Gateway) -> Response<Bytes> {
    let routes = gateway.site.table.routes();
    let urls: Vec<String> = routes
        .iter()
        .map(|route| format!("{}/mcp", resource::identifier(gateway.base_url.as_str(), route)))
        .collect();
    let servers: Vec<ServerCard<'_>> = routes
        .iter()
        .zip(&urls)
        .map(|(route, url)| ServerCard {
            id: route.path().rsplit('/').next().unwrap_or_default(),
            name: route.name,
            description: route.description,
            url,
        })
        .collect();
    let page = Landing {
        base_url: gateway.base_url.as_str(),
        environment: gateway.site.environment,
        servers: &servers,
    };
    reply::html(StatusCode::OK, page.page())
}
