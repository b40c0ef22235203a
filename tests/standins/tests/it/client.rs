//! Tests of the MCP client with an authorization server made of other stand-ins: documents from the backend, login
//! and tokens from Okta, tools from the dice server.

use gateway_standins::backend::Backend;
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Decision, Discovered, Login, Session, discover};
use gateway_standins::mcp::McpServer;
use gateway_standins::okta::{Okta, OktaOptions};
use serde_json::{Value, json};

const REDIRECT: &str = "http://localhost:33418/callback";
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// Change of the resource metadata and the server metadata.
type Change = fn(&mut Value, &mut Value);

struct World {
    backend: Backend,
    okta: Okta,
}

impl World {
    async fn start() -> Self {
        let redirect_uris = vec![REDIRECT.to_owned()];
        let okta = Okta::start(OktaOptions { redirect_uris, ..OktaOptions::default() }).await.unwrap();
        let world = Self { backend: Backend::start(0).await.unwrap(), okta };
        let prm = format!("{}/prm", world.backend.url());
        let challenge = format!("Bearer resource_metadata=\"{prm}\", scope=\"openid offline_access\"");
        world.backend.script("/mcp", 401, &[("www-authenticate", &challenge)], "");
        world.documents(|_, _| {});
        world
    }

    /// Publishes both metadata documents after a change.
    fn documents(&self, change: impl Fn(&mut Value, &mut Value)) {
        let (us, okta) = (self.backend.url(), self.okta.url());
        let mut resource = json!({"resource": self.mcp(), "authorization_servers": [us]});
        let mut server = json!({
            "issuer": us,
            "authorization_endpoint": format!("{okta}/oauth2/v1/authorize"),
            "token_endpoint": format!("{okta}/oauth2/v1/token"),
            "registration_endpoint": format!("{us}/register"),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        });
        change(&mut resource, &mut server);
        self.backend.script("/prm", 200, JSON, resource.to_string());
        let well_known = "/.well-known/oauth-authorization-server";
        self.backend.script(well_known, 200, JSON, server.to_string());
        let app = OktaOptions::default();
        let registered = json!({
            "client_id": app.client_id, "client_secret": app.client_secret, "client_secret_expires_at": 0,
            "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [REDIRECT],
        });
        self.backend.script("/register", 201, JSON, registered.to_string());
    }

    fn mcp(&self) -> String {
        format!("{}/mcp", self.backend.url())
    }

    async fn discovered(&self) -> Discovered {
        discover(&self.mcp()).await.unwrap()
    }

    async fn client(&self) -> Client {
        self.discovered().await.register("Test", "client_secret_basic", REDIRECT).await.unwrap()
    }
}

#[tokio::test]
async fn a_client_gets_from_a_url_to_a_tool_call() {
    let world = World::start().await;
    let client = world.client().await;
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let tokens = client.redeem(&code).await.unwrap();
    let again = client.redeem(&code).await.unwrap_err();
    assert!(again.0.starts_with("invalid_grant (400"), "{again}");
    let refreshed = client.refresh(tokens.refresh_token.as_deref().unwrap()).await.unwrap();
    let sent = world.okta.requests().pop().unwrap();
    assert_eq!(sent.field("resource"), Some(world.mcp().as_str()));
    let dice = McpServer::dice(0).await.unwrap();
    let mut session = Session::open(&dice.endpoint(), &refreshed.access_token).await.unwrap();
    assert_eq!(session.server["protocolVersion"], "2025-11-25");
    assert_eq!(session.tools().await.unwrap()[0]["name"], "roll");
    let rolled = session.call("roll", json!({"sides": 2, "count": 3})).await.unwrap();
    assert_eq!(rolled.split(", ").count(), 3);
    let refused = session.call("roll", json!({"sides": 1})).await.unwrap_err();
    assert!(refused.0.contains("-32602"), "{refused}");
    session.close().await.unwrap();
}

#[tokio::test]
async fn discovery_rejects_invalid_metadata() {
    let world = World::start().await;
    let cases: [(Change, &str); 5] = [
        (|resource, _| resource["resource"] = json!("http://other.example/mcp"), "RFC 9728"),
        (|resource, _| resource["authorization_servers"] = json!([]), "authorization_servers"),
        (|_, server| server["issuer"] = json!("http://other.example"), "RFC 8414"),
        (|_, server| server["code_challenge_methods_supported"] = json!(["plain"]), "S256"),
        (|_, server| server["token_endpoint"] = json!(null), "token_endpoint"),
    ];
    for (change, words) in cases {
        world.documents(change);
        let error = discover(&world.mcp()).await.unwrap_err();
        assert!(error.0.contains(words), "{error} should speak of {words}");
    }
    world.backend.script("/mcp", 401, &[("www-authenticate", "Bearer error=\"invalid_token\"")], "");
    assert!(discover(&world.mcp()).await.is_err());
}

#[tokio::test]
async fn a_response_without_the_advertised_iss_is_rejected() {
    let world = World::start().await;
    world.documents(|_, server| server["authorization_response_iss_parameter_supported"] = json!(true));
    let client = world.client().await;
    let error = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap_err();
    assert!(error.0.contains("iss is None"), "{error}");
}

#[tokio::test]
async fn a_registration_response_that_changes_the_client_is_rejected() {
    let world = World::start().await;
    let discovered = world.discovered().await;
    assert!(discovered.register("Test", "none", REDIRECT).await.is_err());
    assert!(discovered.register("Test", "client_secret_basic", "http://localhost:1/").await.is_err());
}

#[tokio::test]
async fn consent_follows_the_given_decision_and_errors_come_first() {
    let world = World::start().await;
    let page = format!(
        "<form method=get action='{}/decided'><button name=d value=deny>Deny</button>\
         <button name=d value=approve>Continue</button></form>",
        world.backend.url()
    );
    world.backend.script("/consent", 200, &[("content-type", "text/html")], page);
    let consent = format!("{}/consent", world.backend.url());
    world.documents(|_, server| server["authorization_endpoint"] = json!(consent));
    let client = world.client().await;
    for (decision, sent) in [(Decision::Approve, "/decided?d=approve"), (Decision::Deny, "/decided?d=deny")] {
        let login = Login { decision, ..Login::of("alice") };
        client.authorize(&mut Browser::new(), &login).await.unwrap_err();
        assert_eq!(world.backend.last().unwrap().target, sent);
    }
    world.documents(|_, _| {});
    world.okta.refuse_assignment("bob");
    let refused = world.client().await.authorize(&mut Browser::new(), &Login::of("bob")).await.unwrap_err();
    assert_eq!(refused.0, "access_denied: User is not assigned to the client application.");
}
