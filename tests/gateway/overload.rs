//! Connection limits: `limits.connections`, `limits.connections_per_address`.

mod flood;
mod http2;

use crate::harness::{SiteBuilder, StoreKind, World, http};
use gateway_routes::Network;
use reqwest::Response;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(20);
const LOOPBACK: &[Network] = &[Network::v4([127, 0, 0, 0], 8), Network::v6([0, 0, 0, 0, 0, 0, 0, 1], 128)];
/// Loopback addresses, which count as different clients.
const ADDRESS_A: [u8; 4] = [127, 0, 0, 2];
const ADDRESS_B: [u8; 4] = [127, 0, 0, 3];

fn limited(connections: u32, per_address: u32) -> impl FnOnce(SiteBuilder) -> SiteBuilder {
    move |site| {
        site.set(|site| {
            site.limits.connections = connections;
            site.limits.connections_per_address = per_address;
        })
    }
}

/// Opens a connection from this address.
async fn connect(port: u16, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    timeout(TIMEOUT, socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))).await.unwrap().unwrap()
}

/// Sends a request; returns everything until the gateway closes the connection.
async fn get(port: u16, from: [u8; 4], path: &str) -> String {
    let mut stream = connect(port, from).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    timeout(TIMEOUT, stream.read_to_string(&mut response)).await.unwrap().unwrap();
    response
}

fn status(response: &str) -> u16 {
    response.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// Repeats a request until the response has this status: the gateway detects a closed connection with a delay.
async fn wait_for_status(port: u16, from: [u8; 4], path: &str, wanted: u16) {
    let poll = async {
        while status(&get(port, from, path).await) != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, poll).await.unwrap();
}

/// Opens connections without requests. They are accepted when a later connection is served.
async fn open_idle_connections(port: u16, from: [u8; 4], count: usize) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..count {
        connections.push(connect(port, from).await);
    }
    assert_eq!(status(&get(port, from, "/healthz").await), 200);
    connections
}

fn port(world: &World) -> u16 {
    world.base_url.rsplit(':').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_address_at_its_connection_limit_gets_429_and_others_are_served() {
    let world = World::with(StoreKind::Embedded, limited(20, 5)).await;
    let port = port(&world);
    let connections = open_idle_connections(port, ADDRESS_A, 5).await;
    let refused = get(port, ADDRESS_A, "/").await;
    assert_eq!(status(&refused), 429, "{refused}");
    let refused = refused.to_lowercase();
    assert!(refused.contains("\r\nretry-after: 5\r\n") && refused.contains("\r\nconnection: close\r\n"));
    assert!(refused.contains("\r\nx-request-id: ") && refused.contains("too many connections"), "{refused}");
    assert_eq!(status(&get(port, ADDRESS_A, "/healthz").await), 200);
    assert_eq!(status(&get(port, ADDRESS_B, "/").await), 200);
    drop(connections);
    wait_for_status(port, ADDRESS_A, "/", 200).await;
}

#[tokio::test]
async fn at_the_connection_limit_probes_are_served_and_other_requests_get_503() {
    let world = World::with(StoreKind::Embedded, limited(4, 4)).await;
    let port = port(&world);
    let connections = open_idle_connections(port, ADDRESS_A, 4).await;
    wait_for_status(port, ADDRESS_B, "/readyz", 200).await;
    for path in ["/", "/mcp/raw/mcp", "/auth/token", "/.well-known/oauth-authorization-server", "/healthz/x"]
    {
        let refused = get(port, ADDRESS_B, path).await;
        assert_eq!(status(&refused), 503, "{path}: {refused}");
        assert!(refused.to_lowercase().contains("\r\nretry-after: 5\r\n"), "{refused}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(status(&get(port, ADDRESS_B, path).await), 200, "{path}");
    }
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for (path, wanted) in [("/healthz", 200), ("/", 503), ("/readyz", 200)] {
        let response = timeout(TIMEOUT, http2.get(world.url(path)).send()).await.unwrap().unwrap();
        assert_eq!(response.status(), wanted, "{path} over HTTP/2");
    }
    drop(connections);
    wait_for_status(port, ADDRESS_B, "/", 200).await;
}

#[tokio::test]
async fn a_request_with_a_body_gets_503_at_the_connection_limit() {
    let world = World::with(StoreKind::Embedded, limited(2, 2)).await;
    let _connections = open_idle_connections(port(&world), ADDRESS_A, 2).await;
    let body = "x".repeat(200_000);
    for _ in 0..3 {
        let response = http().post(world.url("/mcp/raw/mcp")).body(body.clone()).send().await.unwrap();
        assert_eq!(response.status(), 503);
    }
}

#[tokio::test]
async fn silent_connections_beyond_the_limit_do_not_block_probes() {
    let world = World::with(StoreKind::Embedded, limited(2, 2)).await;
    let port = port(&world);
    let _connections = open_idle_connections(port, ADDRESS_A, 2).await;
    let mut beyond = Vec::new();
    for number in 10..50 {
        for _ in 0..3 {
            beyond.push(connect(port, [127, 0, 0, number]).await);
        }
        assert_eq!(status(&get(port, ADDRESS_B, "/healthz").await), 200);
    }
    let mut open = 0;
    for stream in &mut beyond {
        open += usize::from(timeout(Duration::from_millis(1), stream.read(&mut [0; 1])).await.is_err());
    }
    assert!(open <= 16, "{open} of {} are open", beyond.len());
    for stream in &mut beyond {
        assert!(matches!(timeout(TIMEOUT, stream.read(&mut [0; 1])).await.unwrap(), Ok(0) | Err(_)));
    }
}

/// Opens event streams with one client and one token.
async fn streams(world: &World) -> impl AsyncFn(&str) -> Response + use<> {
    let (_, tokens) = world.sign_in("/mcp/raw/mcp", "alice").await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = world.url("/mcp/raw/sse/silent");
    async move |client_address: &str| {
        let request = client.get(&url).bearer_auth(&tokens.access_token);
        let request = request.header("x-forwarded-for", client_address).send();
        timeout(TIMEOUT, request).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn http_2_streams_count_as_connections() {
    let mut world = World::start().await;
    let stream = streams(&world).await;
    world.rebuild(|site| site.limits.connections_per_address = 3).await;
    world.wait_until_ready().await;
    let mut open = Vec::new();
    while open.len() < 3 {
        let response = stream("").await;
        // The connection of the readiness probe may still be open.
        if response.status() == 200 {
            open.push(response);
        }
    }
    let refused = stream("").await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"5".parse().unwrap()));
    open.pop();
    world.backend.wait_aborted(1).await;
    timeout(TIMEOUT, async { while stream("").await.status() != 200 {} }).await.unwrap();
}

#[tokio::test]
async fn behind_a_trusted_proxy_streams_are_counted_per_client() {
    let mut world = World::start().await;
    let stream = streams(&world).await;
    world
        .rebuild(|site| {
            site.trusted_proxies = LOOPBACK;
            site.limits.connections_per_address = 2;
        })
        .await;
    world.wait_until_ready().await;
    let open = [stream("203.0.113.1").await, stream("203.0.113.1").await];
    assert!(open.iter().all(|response| response.status() == 200));
    assert_eq!(stream("203.0.113.1").await.status(), 429);
    assert_eq!(stream("2001:db8:1:2::1").await.status(), 200);
    let port = port(&world);
    let _connections = open_idle_connections(port, ADDRESS_A, 9).await;
    assert_eq!(status(&get(port, ADDRESS_A, "/").await), 200, "connections of the proxy are not counted");
}

#[tokio::test]
async fn finished_requests_are_no_longer_counted() {
    let world = World::with(StoreKind::Embedded, limited(8, 8)).await;
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for _ in 0..100 {
        assert_eq!(http2.get(world.url("/")).send().await.unwrap().status(), 200);
        assert_eq!(status(&get(port(&world), ADDRESS_A, "/").await), 200);
    }
}
