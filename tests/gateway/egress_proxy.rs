//! Outgoing requests through an egress proxy.

use crate::harness::binary::{Process, binary};
use crate::harness::metadata_documents::{HOST, PATH, document, publish};
use crate::harness::{CALLBACK, OktaFront, SiteBuilder, StoreKind, World, http};
use gateway::cli;
use gateway_routes::{EgressProxySite, ValuePart};
use gateway_standins::ClientError;
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Login};
use gateway_standins::connect_proxy::ConnectProxy;
use gateway_standins::document_server::DocumentResponse;
use serde_json::Value;

/// Name that only the proxy resolves.
const OKTA: &str = "okta.example.com";
const SERVER: &str = "/mcp/dice/mcp";

fn leak(text: impl Into<String>) -> &'static str {
    text.into().leak()
}

/// Site whose proxy this is, with the user `gateway` and a password from the environment.
fn behind(proxy: &ConnectProxy) -> EgressProxySite {
    EgressProxySite {
        url: Some(leak(proxy.origin())),
        username: Some(ValuePart::Text("gateway")),
        password: Some("EGRESS_PASSWORD"),
        ..EgressProxySite::DEFAULT
    }
}

/// World whose Okta is behind TLS at a name that this machine cannot resolve.
async fn world(front: &mut OktaFront) -> World {
    let ca_file = Some(leak(front.ca_file()));
    let change = |site: SiteBuilder| site.set(|site| site.okta.ca_file = ca_file);
    let mut world = World::with_okta(front.options(), StoreKind::Embedded, change).await;
    front.serve(&world.okta);
    world.variables.push(("EGRESS_PASSWORD", "open sesame".into()));
    world
}

/// Signs `alice` in, and refreshes.
async fn sign_in(world: &World, front: &OktaFront) -> Result<(), ClientError> {
    let client = world.client(SERVER).await;
    let code = client.authorize(&mut front.browser(), &Login::of("alice")).await?;
    let tokens = client.redeem(&code).await?;
    let called = http().post(world.url("/mcp/raw/echo")).bearer_auth(&tokens.access_token);
    assert_ne!(called.send().await.unwrap().status(), 502, "MCP servers are not behind the proxy");
    client.refresh(tokens.refresh_token.as_deref().unwrap()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_keys_login_and_refresh_go_through_the_proxy_with_its_credentials() {
    let proxy = ConnectProxy::start().await.unwrap();
    proxy.require("gateway", "open sesame");
    let mut front = OktaFront::bind(OKTA).await;
    let mut world = world(&mut front).await;
    world.rebuild(|site| site.egress_proxy = behind(&proxy)).await;
    sign_in(&world, &front).await.unwrap();
    let okta = front.origin().replace("https://", "");
    let targets = proxy.take_targets();
    assert!(!targets.is_empty() && targets.iter().all(|target| *target == okta), "{targets:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_fills_in_the_proxy_and_its_exceptions() {
    let (proxy, other) = (ConnectProxy::start().await.unwrap(), ConnectProxy::start().await.unwrap());
    proxy.require("gateway", "p@ss");
    let mut front = OktaFront::bind(OKTA).await;
    let mut world = world(&mut front).await;
    let with_user = proxy.origin().replace("http://", "http://gateway:p%40ss@");
    let named = EgressProxySite { url: Some(leak(other.origin())), ..EgressProxySite::DEFAULT };
    let off = EgressProxySite { enabled: false, ..EgressProxySite::DEFAULT };
    for (name, no_proxy, site, works, used) in [
        ("HTTPS_PROXY", "", EgressProxySite::DEFAULT, true, [true, false]),
        ("https_proxy", "a.example.com,10.0.0.0/8", EgressProxySite::DEFAULT, true, [true, false]),
        ("HTTPS_PROXY", ".example.com", EgressProxySite::DEFAULT, false, [false, false]),
        ("HTTPS_PROXY", "", off, false, [false, false]),
        ("HTTP_PROXY", "", EgressProxySite::DEFAULT, false, [false, false]),
        ("ALL_PROXY", "", EgressProxySite::DEFAULT, false, [false, false]),
        ("HTTPS_PROXY", "", named, true, [false, true]),
    ] {
        world.variables = vec![(name, with_user.clone()), ("NO_PROXY", no_proxy.into())];
        world.rebuild(|rebuilt| rebuilt.egress_proxy = site).await;
        assert_eq!(sign_in(&world, &front).await.is_ok(), works, "{name} {no_proxy} {site:?}");
        let by = [!proxy.take_targets().is_empty(), !other.take_targets().is_empty()];
        assert_eq!(by, used, "{name} {no_proxy} {site:?}");
    }
}

/// Error of a login, and the log, of a gateway with this `HTTPS_PROXY`.
async fn failed_login(https_proxy: &str) -> (String, String) {
    let environment = [
        ("OKTA_URL", "https://okta.example.com"),
        ("OKTA_CLIENT_ID", "0oa1"),
        ("OKTA_CLIENT_SECRET", "secret"),
        ("HTTPS_PROXY", https_proxy),
    ];
    let process = Process::start(binary(), &environment).await;
    let discovered = client::discover(&format!("{}{SERVER}", process.base_url)).await.unwrap();
    let client = discovered.register("Test client", "none", CALLBACK).await.unwrap();
    let error = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap_err();
    (error.to_string(), process.log())
}

/// Lines about the failed request.
fn failures(log: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"] == "request failed: a service is unavailable").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_down_or_refuses_is_named_in_one_log_line_without_its_credentials() {
    let (proxy, closed) = (ConnectProxy::start().await.unwrap(), ConnectProxy::start().await.unwrap());
    proxy.require("gateway", "other");
    let (down, listening) = (closed.address(), proxy.address());
    drop(closed);
    let refusing = ConnectProxy::start().await.unwrap();
    refusing.refuse(Some(403));
    let refusing_at = refusing.address();
    for (https_proxy, cause) in [
        (
            format!("http://gateway:hunter2@{down}"),
            format!("the egress proxy http://{down} cannot be reached: "),
        ),
        (
            format!("http://gateway:hunter2@{listening}"),
            format!(
                "the egress proxy http://{listening} rejects the credentials (407): check the user and the password in \
                 HTTPS_PROXY"
            ),
        ),
        (
            format!("http://{listening}"),
            format!("the egress proxy http://{listening} wants credentials (407): "),
        ),
        (
            format!("http://{refusing_at}"),
            format!(
                "the egress proxy http://{refusing_at} refuses to connect to okta.example.com, or cannot: allow that host"
            ),
        ),
    ] {
        let (error, log) = failed_login(&https_proxy).await;
        assert!(error.contains("temporarily_unavailable"), "{error}");
        let failures = failures(&log);
        assert_eq!(failures.len(), 1, "{log}");
        assert!(failures[0]["cause"].as_str().unwrap().contains(&cause), "{cause} is missing in {log}");
        assert!(!log.contains("hunter2"), "{log}");
        assert!(log.contains("requests to Okta go through the egress proxy"), "{log}");
    }
}

/// Status of an authorization request of a client whose document is there.
async fn authorize(world: &World, id: &str) -> u16 {
    let client = world.published_client(id, SERVER).await;
    let url = client.authorize_url("state", &"v".repeat(43), &[]).unwrap();
    http().get(url).header("accept", "application/json").send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn client_documents_go_through_the_proxy_if_the_site_says_so() {
    let proxy = ConnectProxy::start().await.unwrap();
    proxy.require("gateway", "open sesame");
    let (mut world, documents) = World::start().await.with_document_server().await;
    world.variables.push(("EGRESS_PASSWORD", "open sesame".into()));
    for client_metadata in [false, true] {
        let site = EgressProxySite { client_metadata, ..behind(&proxy) };
        world.rebuild(|rebuilt| rebuilt.egress_proxy = site).await;
        let id = publish(&documents, |_| {});
        assert_eq!(authorize(&world, &id).await, 200);
        let expected =
            if client_metadata { vec![format!("{HOST}:{}", documents.address().port())] } else { vec![] };
        assert_eq!(proxy.take_targets(), expected);
    }
    // The proxy resolves a name that this machine does not know.
    let id = documents.url("nowhere.example.com", PATH);
    documents.set_response(PATH, DocumentResponse::json(&document(&id)));
    assert_eq!(authorize(&world, &id).await, 200);
    // TLS is between the gateway and the server: the certificate is for names below example.com.
    let id = documents.url("client.example.net", PATH);
    documents.set_response(PATH, DocumentResponse::json(&document(&id)));
    assert_eq!(authorize(&world, &id).await, 503);
    assert_eq!(proxy.take_targets().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_at_hosts_without_proxy_are_fetched_directly_with_the_complete_check() {
    let proxy = ConnectProxy::start().await.unwrap();
    let (mut world, documents) = World::start().await.with_document_server().await;
    world.variables.push(("HTTPS_PROXY", proxy.origin()));
    world.variables.push(("no_proxy", ".example.com".into()));
    let site = EgressProxySite { client_metadata: true, ..EgressProxySite::DEFAULT };
    world.rebuild(|rebuilt| rebuilt.egress_proxy = site).await;
    for (name, status) in [(HOST, 200), ("private.example.com", 503), ("nowhere.example.com", 503)] {
        let id = documents.url(name, PATH);
        documents.set_response(PATH, DocumentResponse::json(&document(&id)));
        assert_eq!(authorize(&world, &id).await, status, "{name}");
    }
    assert_eq!(proxy.take_targets(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_at_internal_names_and_addresses_are_not_asked_of_the_proxy() {
    let proxy = ConnectProxy::start().await.unwrap();
    proxy.require("gateway", "open sesame");
    let (mut world, documents) = World::start().await.with_document_server().await;
    world.variables.push(("EGRESS_PASSWORD", "open sesame".into()));
    let site = EgressProxySite { client_metadata: true, ..behind(&proxy) };
    world.rebuild(|rebuilt| rebuilt.egress_proxy = site).await;
    for name in [
        "private.example.com",
        "mixed.example.com",
        "metadata.google.internal",
        "printer.local",
        "wiki.corp",
        "client.test",
    ] {
        let id = documents.url(name, PATH);
        documents.set_response(PATH, DocumentResponse::json(&document(&id)));
        assert_eq!(authorize(&world, &id).await, 503, "{name}");
    }
    for host in ["127.0.0.1", "10.0.0.1", "[::1]", "localhost", "169.254.169.254"] {
        assert_eq!(authorize(&world, &documents.url(host, PATH)).await, 400, "{host}");
    }
    assert_eq!(proxy.take_targets(), Vec::<String>::new());
}

#[test]
fn the_routes_command_prints_the_egress_proxy_and_the_names_of_its_variables() {
    let site = |proxy: EgressProxySite| {
        let site = SiteBuilder::new().route("/mcp/dice/", "http://localhost:3000", |route| route);
        cli::routes(site.set(|site| site.egress_proxy = proxy).leak())
    };
    assert!(!site(EgressProxySite::DEFAULT).contains("egress"));
    let off = EgressProxySite { enabled: false, ..EgressProxySite::DEFAULT };
    assert!(site(off).ends_with("\negress proxy  off\n"));
    let named = EgressProxySite {
        url: Some("http://proxy.example.com:3128"),
        username: Some(ValuePart::Text("gateway")),
        password: Some("EGRESS_PASSWORD"),
        no_proxy: Some(&["internal.example.com", "10.0.0.0/8"]),
        client_metadata: true,
        ..EgressProxySite::DEFAULT
    };
    let expected = "\negress proxy  http://proxy.example.com:3128\n  used by   Okta, client documents\n  user      \
                    gateway\n  password  EGRESS_PASSWORD\n  direct    internal.example.com 10.0.0.0/8\n";
    assert!(site(named).ends_with(expected), "{}", site(named));
}
