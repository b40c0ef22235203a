//! Logins in a real Chromium without JavaScript: its `form-action` covers the whole redirect chain of a form, it has
//! its own cookie rules, and it opens private schemes.

use crate::harness::{World, drivers};
use gateway_standins::client::{Client, Code};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Stdio;
use tokio::process::Command;
use url::Url;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

async fn run_chromium(options: &[&str], urls: &[Url]) -> Value {
    let child = Command::new("node")
        .arg("chromium.mjs")
        .args(options)
        .args(urls.iter().map(Url::as_str))
        .current_dir(drivers::folder())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = child.await.unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("chromium.mjs: {}", String::from_utf8_lossy(&output.stdout)))
}

/// Signs all clients in concurrently in Chromium and redeems their codes.
async fn sign_in(world: &World, clients: &[Client]) {
    sign_in_with(&[], world, clients).await;
}

async fn sign_in_with(options: &[&str], world: &World, clients: &[Client]) {
    let state = |number: usize| format!("state-{number}");
    let url =
        |(number, client): (usize, &Client)| client.authorize_url(&state(number), VERIFIER, &[]).unwrap();
    let urls: Vec<Url> = clients.iter().enumerate().map(url).collect();
    let report = run_chromium(options, &urls).await;
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(report["framed"], false, "{report}");
    let blocked = |text: &Value| {
        text.as_str().is_some_and(|text| text.contains("form-action") || text.contains("style"))
    };
    assert!(!report["browserErrors"].as_array().unwrap().iter().any(blocked), "{report}");
    for (number, client) in clients.iter().enumerate() {
        let end = Url::parse(report["redirects"][number].as_str().unwrap()).unwrap();
        let get = |name: &str| end.query_pairs().find(|(other, _)| other == name).unwrap().1.into_owned();
        assert_eq!((get("state"), get("iss")), (state(number), world.base_url.clone()));
        client.redeem(&Code { code: get("code"), verifier: VERIFIER.to_owned() }).await.unwrap();
    }
}

/// Client that listens on a free loopback port.
async fn loopback_client(world: &World) -> Client {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let discovered = world.client("/mcp/raw/echo").await.discovered;
    let redirect = format!("http://localhost:{port}/callback");
    discovered.register("Claude Code", "none", &redirect).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_delivers_a_code_to_a_loopback_client() {
    let world = World::start().await;
    sign_in(&world, &[loopback_client(&world).await]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_delivers_a_code_to_a_private_scheme() {
    let world = World::start().await;
    let discovered = world.client("/mcp/raw/echo").await.discovered;
    let redirect = "cursor://anysphere.cursor-mcp/oauth/callback";
    let client = discovered.register("Cursor", "none", redirect).await.unwrap();
    sign_in(&world, &[client]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_logins_in_one_chromium_are_independent() {
    let world = World::start().await;
    sign_in(&world, &[loopback_client(&world).await, loopback_client(&world).await]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_on_allow_in_chromium_signs_in() {
    let world = World::start().await;
    sign_in_with(&["--double-click"], &world, &[loopback_client(&world).await]).await;
}
