//! A world whose gateway can fetch from a document server. Names below `example.com` resolve to it; some resolve to
//! private addresses or not at all.

use super::World;
use gateway::fetch::FetchPolicy;
use gateway_routes::{ClientDocument, ClientMetadata, ClientMetadataMode, Site};
use gateway_standins::client::{self, Client, Key};
use gateway_standins::document_server::{DocumentResponse, DocumentServer};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// Host of the default client.
pub(crate) const HOST: &str = "client.example.com";
/// Path of its document.
pub(crate) const PATH: &str = "/oauth/client.json";
/// Address of the document server, which the gateways of these worlds treat as public.
const SITE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Private address, which must not be fetched from.
pub(crate) const PRIVATE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn resolve(name: &str) -> Vec<IpAddr> {
    match name {
        "private.example.com" => vec![PRIVATE_ADDRESS],
        "mixed.example.com" => vec![SITE, PRIVATE_ADDRESS],
        "nowhere.example.com" => vec![],
        _ => vec![SITE],
    }
}

impl World {
    /// Adds a document server to this world that its gateway can fetch from.
    pub(crate) async fn with_document_server(mut self) -> (Self, DocumentServer) {
        let document_server = DocumentServer::start().await.unwrap();
        self.fetch = FetchPolicy::for_tests(resolve, vec![SITE], document_server.authority().to_vec());
        self.restart().await;
        (self, document_server)
    }

    /// Compiles these documents into the site, in this mode, and restarts the gateway.
    pub(crate) async fn compile_documents(&mut self, mode: ClientMetadataMode, documents: &[Value]) {
        let leak = |text: String| -> &'static str { text.leak() };
        let compile = |document: &Value| ClientDocument {
            client_id: leak(document["client_id"].as_str().unwrap().to_owned()),
            json: leak(document.to_string()),
        };
        let documents = documents.iter().map(compile).collect::<Vec<_>>().leak();
        let client_metadata = ClientMetadata { mode, documents, ..self.site.client_metadata };
        self.site = Box::leak(Box::new(Site { client_metadata, ..*self.site }));
        self.restart().await;
    }

    /// Client with a metadata document at `id`, for the MCP server at `path`.
    pub(crate) async fn published_client(&self, id: &str, path: &str) -> Client {
        client::discover(&self.url(path)).await.unwrap().known_client(id, super::CALLBACK)
    }

    /// The same, with a key.
    pub(crate) async fn published_client_with_key(&self, id: &str, path: &str, key: Key) -> Client {
        client::discover(&self.url(path)).await.unwrap().client_with_key(id, super::CALLBACK, key)
    }

    /// Restarts the gateway; returns the same client without open connections.
    pub(crate) async fn after_restart(&mut self, client: Client) -> Client {
        self.restart().await;
        let discovered = client::discover(&client.discovered.resource).await.unwrap();
        Client { discovered, ..client }
    }
}

/// Metadata document of a public loopback client with this `client_id`.
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

/// Publishes that document with a change at the default path; returns its URL.
pub(crate) fn publish(document_server: &DocumentServer, change: impl FnOnce(&mut Value)) -> String {
    let id = document_server.url(HOST, PATH);
    let mut document = document(&id);
    change(&mut document);
    document_server.set_response(PATH, DocumentResponse::json(&document));
    id
}
