//! Tests of the MCP servers with plain HTTP.

use gateway_standins::mcp::McpServer;
use reqwest::header::{ACCEPT, HOST};
use serde_json::{Value, json};

struct Session {
    http: reqwest::Client,
    endpoint: String,
    id: Option<String>,
}

impl Session {
    async fn open(server: &McpServer) -> (Self, Value) {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut session = Self { http, endpoint: server.endpoint(), id: None };
        let client = json!({"name": "test", "version": "1"});
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
        let response = session.call("initialize", params).await;
        session.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        (session, response)
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        let text = self.post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})).await;
        let mut data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
        let message = data.rfind(|data| !data.is_empty());
        serde_json::from_str(message.unwrap_or_else(|| panic!("no message in {text}"))).unwrap()
    }

    async fn post(&mut self, message: &Value) -> String {
        let mut request =
            self.http.post(&self.endpoint).header(ACCEPT, "application/json, text/event-stream");
        request = request.header(HOST, "dice.internal.example:1234").json(message);
        if let Some(id) = &self.id {
            request = request.header("mcp-session-id", id);
        }
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        if let Some(id) = response.headers().get("mcp-session-id") {
            self.id = Some(id.to_str().unwrap().to_owned());
        }
        response.text().await.unwrap()
    }
}

#[tokio::test]
async fn dice_rolls_are_within_their_sides() {
    let server = McpServer::dice(0).await.unwrap();
    let (mut session, response) = Session::open(&server).await;
    assert_eq!(response["result"]["serverInfo"]["name"], "dice");
    assert!(session.id.is_some());
    let tools = session.call("tools/list", json!({})).await;
    assert_eq!(tools["result"]["tools"][0]["name"], "roll");
    let roll = json!({"name": "roll", "arguments": {"sides": 4, "count": 50}});
    let rolled = session.call("tools/call", roll).await;
    let text = rolled["result"]["content"][0]["text"].as_str().unwrap();
    let shown: Vec<u32> = text.split(", ").map(|shown| shown.parse().unwrap()).collect();
    assert!(shown.len() == 50 && shown.iter().all(|shown| (1..=4).contains(shown)), "{shown:?}");
    let refused = session.call("tools/call", json!({"name": "roll", "arguments": {"count": 101}})).await;
    assert_eq!(refused["error"]["code"], -32602);
}

#[tokio::test]
async fn uuids_are_generated_in_two_concurrent_sessions() {
    let server = McpServer::uuid(0).await.unwrap();
    let (mut first, _) = Session::open(&server).await;
    let (mut second, _) = Session::open(&server).await;
    assert_ne!(first.id, second.id);
    for session in [&mut first, &mut second] {
        let call = json!({"name": "generate", "arguments": {"count": 2}});
        let made = session.call("tools/call", call).await;
        let text = made["result"]["content"][0]["text"].as_str().unwrap();
        let made: Vec<uuid::Uuid> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert!(made.len() == 2 && made[0] != made[1] && made[0].get_version_num() == 4);
    }
}
