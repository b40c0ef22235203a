//! A world whose gateway can reach the web site of people who make a client. Names below `example.com` mean this
//! computer, where that site is; some mean what no honest name does.

use super::World;
use gateway::fetch::FetchPolicy;
use gateway_standins::client::{self, Client, Key};
use gateway_standins::publisher::{Answer, Publisher};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// The usual client's name.
pub(crate) const HOST: &str = "client.example.com";
/// The path of its document.
pub(crate) const PATH: &str = "/oauth/client.json";
/// Where the publisher is. To the gateways of these worlds it is as good as the internet.
const SITE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Within: it is not admitted.
pub(crate) const WITHIN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn addresses(name: &str) -> Vec<IpAddr> {
    match name {
        "within.example.com" => vec![WITHIN],
        "mixed.example.com" => vec![SITE, WITHIN],
        "nowhere.example.com" => vec![],
        _ => vec![SITE],
    }
}

impl World {
    /// The same world, and a publisher that its gateway can reach.
    pub(crate) async fn and_a_publisher(mut self) -> (Self, Publisher) {
        let publisher = Publisher::start().await.unwrap();
        self.fetch = FetchPolicy::for_tests(addresses, vec![SITE], publisher.authority().to_vec());
        self.restart().await;
        (self, publisher)
    }

    /// A client that is published at `id`, for the MCP server at `path`.
    pub(crate) async fn published(&self, id: &str, path: &str) -> Client {
        client::discover(&self.url(path)).await.unwrap().known_client(id, super::CALLBACK)
    }

    /// The same, with a key.
    pub(crate) async fn published_with_key(&self, id: &str, path: &str, key: Key) -> Client {
        client::discover(&self.url(path)).await.unwrap().client_with_key(id, super::CALLBACK, key)
    }

    /// The same client after a restart of the gateway, in a process of its own: it holds no connection to the one before.
    pub(crate) async fn after_restart(&mut self, client: Client) -> Client {
        self.restart().await;
        let discovered = client::discover(&client.discovered.resource).await.unwrap();
        Client { discovered, ..client }
    }
}

/// The document of a public client on loopback, at this URL.
pub(crate) fn document(id: &str) -> Value {
    json!({
        "client_id": id,
        "client_name": "Published client",
        "client_uri": "https://client.example.com",
        "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback", "https://client.example.com/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
}

/// Publishes that document, changed, at the usual place; its URL.
pub(crate) fn publish(publisher: &Publisher, change: impl FnOnce(&mut Value)) -> String {
    let id = publisher.url(HOST, PATH);
    let mut document = document(&id);
    change(&mut document);
    publisher.says(PATH, Answer::json(&document));
    id
}
