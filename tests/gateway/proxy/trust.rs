//! Certificate verification of MCP servers.

use super::servers::{Listener, Transport};
use super::{SignedIn, TIMEOUT};
use crate::harness::{SiteBuilder, http};
use gateway::cli;
use gateway_routes::Route;
use gateway_standins::redis::Certificates;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// TLS server that responds to everything and counts its connections.
async fn serve(listener: Arc<Listener>, connections: Arc<AtomicUsize>) {
    loop {
        let mut stream = listener.accept().await;
        connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            while let Ok(1..) = stream.read(&mut [0; 4096]).await {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                stream.flush().await.unwrap();
            }
        });
    }
}

fn with_ca_file(ca_file: &Certificates, name: &str) -> impl Fn(Route) -> Route {
    let ca_file = Some(&*ca_file.path(name).leak());
    move |route| Route { ca_file, ..route }
}

#[tokio::test]
async fn a_ca_file_applies_to_its_route_only_and_connections_are_not_shared() {
    let (listener, foreign) = (Arc::new(Listener::bind(Transport::Tls).await), Certificates::make().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    tokio::spawn(serve(Arc::clone(&listener), Arc::clone(&connections)));
    let (url, ca_file) = (listener.url(), listener.ca_file());
    let trusting = |route| Route { ca_file, ..route };
    let signed = SignedIn::start(|site| {
        site.route("/mcp/raw/", &url, trusting)
            .route("/mcp/same/", &url, trusting)
            .route("/mcp/web/", &url, |route| route)
            .route("/mcp/foreign/", &url, with_ca_file(&foreign, "ca.pem"))
            .route("/mcp/name/", &url.replace("127.0.0.1", "localhost"), trusting)
    })
    .await;
    // The first connection is idle when the others are needed.
    for (path, status, made) in [
        ("/mcp/raw/mcp", 200, 1),
        ("/mcp/raw/mcp", 200, 1),
        ("/mcp/same/mcp", 200, 1),
        ("/mcp/web/mcp", 502, 1),
        ("/mcp/foreign/mcp", 502, 1),
        ("/mcp/name/mcp", 502, 1),
        ("/mcp/raw/mcp", 200, 1),
    ] {
        let (_, tokens) = signed.world.sign_in(path, "alice").await;
        let request = http().get(signed.world.url(path)).bearer_auth(tokens.access_token);
        let response = timeout(TIMEOUT, request.send()).await.unwrap().unwrap();
        assert_eq!(response.status(), status, "{path}");
        response.text().await.unwrap();
        assert_eq!(connections.load(Ordering::SeqCst), made, "{path}");
    }
}

#[test]
fn the_routes_command_prints_ca_files() {
    let certified = |route| Route { ca_file: Some("/etc/ssl/internal-ca.pem"), ..route };
    let site = SiteBuilder::new()
        .route("/mcp/dice/", "http://localhost:3000", |route| route)
        .route("/mcp/tickets/", "https://tickets.internal.example.com", certified)
        .leak();
    let text = cli::routes(site);
    let (dice, tickets) = text.split_once("/mcp/tickets/").unwrap();
    assert!(!dice.contains("ca_file"), "{text}");
    assert!(tickets.contains("\n  ca_file   /etc/ssl/internal-ca.pem\n"), "{text}");
}
