//! Tests of the generated constants: they are compiled and compared with the values of the YAML.
#![cfg(feature = "compile")]

use gateway_routes::compile::{Compiled, compile};
use gateway_routes::{
    AuthorizationServer, ClientMetadata, ClientMetadataMode, EgressProxySite, Identity, Registration,
    Shutdown, ValuePart, utc_date_time,
};
use std::path::Path;
use std::time::Duration;

#[expect(unreachable_pub, reason = "the code is generated for the gateway")]
mod go_program {
    include!("golden/go-program/site.rs");
}

#[expect(unreachable_pub, reason = "the code is generated for the gateway")]
mod site {
    include!("golden/site/site.rs");
}

fn golden(name: &str) -> Compiled {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    compile(&folder, Path::new("config.yaml")).expect("the file compiles")
}

#[test]
fn the_go_programs_config_compiles_unchanged() {
    let compiled = golden("go-program");
    assert_eq!(go_program::SITE.table.routes(), compiled.routes);
    let dice = go_program::SITE.table.find("/mcp/dice/mcp").expect("it is a route");
    assert_eq!((dice.index, dice.rest), (0, "/mcp/dice/".len()));
    assert_eq!(dice.route.name, "dice");
    assert_eq!(dice.route.scopes, ["mcp:dice"]);
    assert!(dice.route.groups.is_empty());
    assert_eq!(dice.route.identity, Identity::Headers);
    assert_eq!(dice.route.max_body, 4 * 1024 * 1024);
    assert_eq!(dice.route.target.authority, "localhost:3000");
    assert_eq!(dice.route.response_timeout, Duration::from_mins(5));
    assert_eq!(dice.route.response_idle_timeout, Duration::from_mins(1));
    assert_eq!(go_program::SITE.environment, "development");
    assert_eq!(go_program::SITE.base_url, None);
    assert_eq!(go_program::SITE.okta.authorization_server, AuthorizationServer::Custom("default"));
    assert_eq!(go_program::SITE.tokens.refresh_ttl, Duration::from_hours(30 * 24));
    let site = go_program::SITE;
    assert!(site.advertise_iss);
    assert!(go_program::SITE.trusted_redirect_hosts.contains(&"claude.ai"));
}

#[test]
fn users_are_checked_once_in_the_lifetime_of_an_access_token_by_default() {
    let by_default = go_program::SITE;
    assert_eq!(by_default.okta_recheck, by_default.tokens.access_ttl);
    assert_eq!(site::SITE.okta_recheck, Duration::from_mins(2));
}

#[test]
fn every_key_of_a_site_compiles_to_its_constant() {
    let compiled = golden("site");
    let site = site::SITE;
    assert_eq!(site.table.routes(), compiled.routes);
    assert_eq!(
        (site.environment, site.base_url, site.port),
        ("production", Some("https://mcp.example.com"), Some(8443))
    );
    assert_eq!(site.okta.authorization_server, AuthorizationServer::Org);
    assert_eq!(site.okta.groups_claim, "mcp_groups");
    assert!(site.okta.trust_email && !go_program::SITE.okta.trust_email);
    assert_eq!(site.tokens.code_ttl, Duration::from_secs(30));
    assert!(!site.advertise_iss);
    assert_eq!((site.limits.client_metadata_fetches, site.limits.consents), (5, 60));
    assert_eq!(
        (site.okta_grace, go_program::SITE.okta_grace),
        (Duration::from_mins(15), Duration::from_hours(1))
    );
    assert_eq!(site.registration.redirect_hosts, ["claude.ai", "claude.com"]);
    assert_eq!(site.registration.not_before, Some(utc_date_time(2026, 11, 1, 6, 30, 0)));
    assert_eq!((site.registration.enabled, site.registration.local_clients), (true, false));
    assert_eq!(go_program::SITE.registration, Registration::DEFAULT);
    let [private, single, documentation] = site.trusted_proxies else { panic!("three blocks") };
    assert!(private.contains("10.9.8.7".parse().expect("an address")));
    assert!(single.contains("192.0.2.7".parse().expect("an address")));
    assert_eq!(documentation.get().to_string(), "2001:db8::/32");
    assert_eq!((site.limits.connections, site.limits.connections_per_address), (800, 200));
    assert_eq!((site.limits.registrations, site.limits.client_tokens), (30, 5_000));
    assert_eq!((site.limits.grant_tokens, go_program::SITE.limits.grant_tokens), (240, 120));
    assert_eq!(site.limits.tokens, go_program::SITE.limits.tokens, "absent keys have their defaults");
    let shutdown = Shutdown { delay: Duration::from_secs(10), timeout: Duration::from_secs(40) };
    assert_eq!((site.shutdown, go_program::SITE.shutdown), (shutdown, Shutdown::DEFAULT));
    let [dice, v2, tickets, _] = site.table.routes() else {
        panic!("four routes, own ones first, then by file")
    };
    assert_eq!(dice.pattern, "/mcp/dice/");
    assert_eq!((v2.target.host, v2.target.port, v2.target.authority), ("::1", 80, "[::1]"));
    assert_eq!((v2.target.path, v2.target.trailing_slash), ("", true));
    assert_eq!((tickets.target.tls, tickets.target.path), (true, "/api/mcp"));
    assert_eq!(tickets.description, "Reads and writes the support desk's \"tickets\", in Europe.");
    assert_eq!(tickets.identity, Identity::None);
    assert_eq!(tickets.max_body, 64 * 1024);
    assert_eq!(tickets.connect_timeout, Duration::from_millis(1500));
    assert_eq!(tickets.response_idle_timeout, Duration::from_mins(3));
}

#[test]
fn certificate_authorities_of_a_route_are_those_of_the_site_by_default() {
    let [dice, v2, tickets, wiki] = site::SITE.table.routes() else { panic!("four routes") };
    assert_eq!(wiki.ca_file, Some("/etc/ssl/internal-ca.pem"));
    assert_eq!(tickets.ca_file, Some("/run/secrets/tickets-ca.pem"));
    assert_eq!((dice.ca_file, v2.ca_file), (None, None), "there is no TLS");
    assert_eq!(
        (site::SITE.okta.ca_file, go_program::SITE.okta.ca_file),
        (Some("/etc/ssl/okta-ca.pem"), None)
    );
}

#[test]
fn an_egress_proxy_compiles_to_its_constant() {
    let proxy = site::SITE.egress_proxy;
    assert_eq!(proxy.url, Some("http://proxy.example.com:3128"));
    assert_eq!(proxy.username, Some(ValuePart::Text("gateway")));
    assert_eq!(proxy.password, Some("EGRESS_PASSWORD"));
    assert_eq!(proxy.no_proxy, Some(&[".internal.example.com", "10.0.0.0/8"][..]));
    assert!(proxy.enabled && proxy.client_metadata);
    assert_eq!(go_program::SITE.egress_proxy, EgressProxySite::DEFAULT);
}

#[test]
fn client_documents_compile_to_their_json() {
    assert_eq!(site::SITE.client_metadata.mode, ClientMetadataMode::Pinned);
    assert_eq!(site::SITE.client_metadata.hosts, ["claude.ai", "vscode.dev"]);
    let [claude_code, notes] = site::SITE.client_metadata.documents else { panic!("two documents") };
    assert_eq!(claude_code.client_id, "https://claude.ai/oauth/claude-code-client-metadata");
    assert_eq!(claude_code.json, include_str!("golden/site/clients/claude-code.json").trim_end());
    assert!(notes.json.contains(r##"A \"# note"##), "{}", notes.json);
    assert_eq!(go_program::SITE.client_metadata, ClientMetadata::DEFAULT);
}
