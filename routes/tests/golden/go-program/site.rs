// Compiled from config.yaml; change it there.

use gateway_routes::{
    AuthorizationServer, ClientMetadata, ClientMetadataMode, EgressProxySite, Identity, Limits, OktaSite,
    RefreshReuse, Registration, Route, Shutdown, Site, Table, Target, Tokens,
};
use std::time::Duration;

/// The site of `config.yaml`.
pub const SITE: Site = Site {
    environment: "development",
    base_url: None,
    port: None,
    okta: OktaSite {
        url: None,
        authorization_server: AuthorizationServer::Custom("default"),
        client_id: None,
        redirect_uri: None,
        groups_claim: "groups",
        trust_email: false,
        ca_file: None,
    },
    tokens: Tokens {
        access_ttl: Duration::from_mins(10),
        refresh_ttl: Duration::from_hours(720),
        code_ttl: Duration::from_mins(1),
    },
    allowed_origins: &[],
    redirect_schemes: &[],
    trusted_redirect_hosts: &[
        "claude.ai",
        "claude.com",
        "chatgpt.com",
        "cursor.com",
        "www.cursor.com",
        "insiders.vscode.dev",
        "vscode.dev",
    ],
    client_metadata: ClientMetadata {
        mode: ClientMetadataMode::Fetch,
        hosts: &[],
        documents: &[],
    },
    advertise_iss: true,
    refresh_reuse: RefreshReuse::Revoke,
    okta_grace: Duration::from_hours(1),
    okta_recheck: Duration::from_mins(10),
    registration: Registration {
        enabled: true,
        redirect_hosts: &[],
        local_clients: true,
        denied: &[],
        not_before: None,
    },
    trusted_proxies: &[],
    egress_proxy: EgressProxySite::DEFAULT,
    limits: Limits {
        connections: 9_000,
        connections_per_address: 2_250,
        registrations: 300,
        authorizations: 1_200,
        client_authorizations: 600,
        consents: 300,
        logins: 600,
        tokens: 3_000,
        client_tokens: 1_200,
        grant_tokens: 120,
        metadata_fetches: 120,
        client_metadata_fetches: 20,
    },
    shutdown: Shutdown { delay: Duration::from_secs(5), timeout: Duration::from_secs(25) },
    table: Table::new(&ROUTES, &SLOTS),
    digest: "123676cfb77b06abec41cb4b6681eb193f6bd66d45e4091dc9f0fea2b794a2a7",
};

const ROUTES: [Route; 2] = [MCP_DICE, MCP_UUID];

const SLOTS: [u16; Table::size(2)] = Table::slots(&ROUTES);

/// From `config.yaml`.
const MCP_DICE: Route = Route {
    pattern: "/mcp/dice/",
    target: Target {
        tls: false,
        host: "localhost",
        port: 3000,
        authority: "localhost:3000",
        path: "",
        trailing_slash: false,
    },
    ca_file: None,
    name: "dice",
    description: "",
    scopes: &["mcp:dice"],
    groups: &[],
    identity: Identity::Headers,
    upstream_headers: &[],
    max_body: 4_194_304,
    connect_timeout: Duration::from_secs(5),
    response_timeout: Duration::from_mins(5),
    response_idle_timeout: Duration::from_mins(1),
};

/// From `config.yaml`.
const MCP_UUID: Route = Route {
    pattern: "/mcp/uuid/",
    target: Target {
        tls: false,
        host: "localhost",
        port: 4000,
        authority: "localhost:4000",
        path: "",
        trailing_slash: false,
    },
    ca_file: None,
    name: "uuid",
    description: "",
    scopes: &["mcp:uuid"],
    groups: &[],
    identity: Identity::Headers,
    upstream_headers: &[],
    max_body: 4_194_304,
    connect_timeout: Duration::from_secs(5),
    response_timeout: Duration::from_mins(5),
    response_idle_timeout: Duration::from_mins(1),
};
