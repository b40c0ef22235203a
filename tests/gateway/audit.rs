//! The audit log: user, client, request and decision.

mod calls;
mod outages;
mod streams;

use crate::harness::binary::Process;
use crate::harness::events::Events;
use crate::harness::go_program::GoProgram;
use crate::harness::{CALLBACK, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Client, Decision, Login};
use gateway_standins::okta::{Okta, OktaOptions};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The response to a call, with the only `call` event of its request id.
struct Decided {
    status: u16,
    id: String,
    event: Value,
    /// Lines of the request at `warn`.
    warnings: usize,
}

impl Decided {
    /// Sends a call to a gateway in this process.
    async fn by(request: reqwest::RequestBuilder) -> Self {
        Events::record();
        let response = request.send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        Self::of(response.status().as_u16(), &id).await
    }

    async fn of(status: u16, id: &str) -> Self {
        let events = Events::record();
        let event = events.only(|line| line["event"] == "call" && line["request_id"] == id).await;
        let warnings = events.of(id).iter().filter(|line| line["level"] == "WARN").count();
        Self { status, id: id.to_owned(), event, warnings }
    }

    /// Asserts status and decision, and that the reason contains this text.
    fn is(&self, status: u16, decision: &str, reason: &str) {
        assert_eq!((self.status, &self.event["decision"]), (status, &json!(decision)), "{}", self.event);
        assert!(self.event["reason"].as_str().unwrap().contains(reason), "{reason}: {}", self.event);
    }

    /// Asserts that the event has these fields.
    fn has(&self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            assert_eq!(self.event[name], *value, "{name}: {}", self.event);
        }
    }
}

/// Revokes the grant of a token.
async fn revoke(world: &World, client: &Client, token: &str) {
    let form = [("client_id", &*client.id), ("token", token)];
    assert_eq!(http().post(world.url("/auth/revoke")).form(&form).send().await.unwrap().status(), 200);
}

fn decision(event: &Value) -> (&str, &str) {
    (event["event"].as_str().unwrap(), event["decision"].as_str().unwrap())
}

/// Returns the audit events once `last` is the last of them; they are written after the responses.
async fn events_until(process: &Process, last: (&str, &str)) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let log = process.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let events: Vec<Value> = lines.filter(|line| line["target"] == "audit").collect();
        if events.last().is_some_and(|event| decision(event) == last) {
            return events;
        }
        assert!(Instant::now() < deadline, "{last:?} was not logged:\n{log}");
        tokio::task::yield_now().await;
    }
}

/// Event and decision of each action, in the order of [`perform_each_decision`].
const DECISIONS: [(&str, &str); 11] = [
    // The discovery starts with a call without a token.
    ("call", "refused"),
    ("registration", "allowed"),
    ("consent", "refused"),
    ("consent", "allowed"),
    ("login", "allowed"),
    ("token", "allowed"),
    ("call", "allowed"),
    ("call", "refused"),
    ("token", "refused"),
    ("revocation", "refused"),
    ("revocation", "allowed"),
];

/// Performs every action that is audited; returns the client's id.
async fn perform_each_decision(process: &Process) -> String {
    let endpoint = format!("{}/mcp/dice/mcp", process.base_url);
    let discovered = client::discover(&endpoint).await.unwrap();
    let client = discovered.register("Auditor", "none", CALLBACK).await.unwrap();
    let denied = Login { decision: Decision::Deny, ..Login::of("alice") };
    client.authorize(&mut Browser::new(), &denied).await.unwrap_err();
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let tokens = client.redeem(&code).await.unwrap();
    for token in [tokens.access_token.clone(), format!("{}x", tokens.access_token)] {
        http().post(&endpoint).bearer_auth(token).json(&json!({})).send().await.unwrap();
    }
    client.refresh("not a token").await.unwrap_err();
    for token in ["not a token", &tokens.access_token] {
        let form = [("token", token), ("client_id", &client.id)];
        let revoke = http().post(format!("{}/auth/revoke", process.base_url)).form(&form).send();
        assert_eq!(revoke.await.unwrap().status(), 200);
    }
    client.id
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_has_one_audit_event_with_user_client_and_route() {
    let go_program = GoProgram::shared().await;
    let options = OktaOptions::default();
    let okta = Okta::start(options.clone()).await.unwrap();
    let settings = [
        ("OKTA_URL", okta.url()),
        ("OKTA_CLIENT_ID", &options.client_id),
        ("OKTA_CLIENT_SECRET", &options.client_secret),
    ];
    let process = Process::start(&go_program.binary, &settings).await;
    okta.add_redirect_uri(&format!("{}/auth/callback", process.base_url));
    let client_id = perform_each_decision(&process).await;
    let events = events_until(&process, DECISIONS[10]).await;
    assert_eq!(events.iter().map(decision).collect::<Vec<_>>(), DECISIONS);
    for event in &events {
        assert!(event["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{event}");
        let address = event["address"].as_str().unwrap();
        assert!(address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()), "{event}");
    }
    let call = &events[6];
    assert_eq!((&call["client"], &call["route"]), (&json!("Auditor"), &json!("/mcp/dice/")));
    assert_eq!((&call["client_id"], &call["method"]), (&json!(client_id[..12]), &json!("POST")));
    assert!(call["user"].as_str().is_some_and(|user| !user.is_empty()), "{call}");
    assert!(events[9]["reason"].as_str().is_some_and(|reason| reason.contains("nothing was revoked")));
    assert!(events[7]["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
}
