// Compiled from config.yaml; change it there.

use gateway_routes::{
    AuthorizationServer, ClientDocument, ClientMetadata, ClientMetadataMode, EgressProxySite, Identity,
    Limits, Network, OktaSite, RefreshReuse, Registration, Route, Shutdown, Site, Table, Target, Tokens,
    UpstreamHeader, ValuePart, utc_date_time,
};
use std::time::Duration;

/// The site of `config.yaml`.
pub const SITE: Site = Site {
    environment: "production",
    base_url: Some("https://mcp.example.com"),
    port: Some(8443),
    okta: OktaSite {
        url: Some("https://acme.okta.com"),
        authorization_server: AuthorizationServer::Org,
        client_id: Some("0oa1b2c3"),
        redirect_uri: Some("https://mcp.example.com/auth/callback"),
        groups_claim: "mcp_groups",
        trust_email: true,
        ca_file: Some("/etc/ssl/okta-ca.pem"),
    },
    tokens: Tokens {
        access_ttl: Duration::from_mins(5),
        refresh_ttl: Duration::from_hours(12),
        code_ttl: Duration::from_secs(30),
    },
    allowed_origins: &["https://app.example.com", "http://localhost:6274"],
    redirect_schemes: &["acme-notes"],
    trusted_redirect_hosts: &[
        "claude.ai",
        "very-long-department-name.applications.example.com",
        "another-department.applications.example.com",
    ],
    client_metadata: ClientMetadata {
        mode: ClientMetadataMode::Pinned,
        hosts: &["claude.ai", "vscode.dev"],
        documents: &CLIENT_DOCUMENTS,
    },
    advertise_iss: false,
    refresh_reuse: RefreshReuse::Refuse,
    okta_grace: Duration::from_mins(15),
    okta_recheck: Duration::from_mins(2),
    registration: Registration {
        enabled: true,
        redirect_hosts: &["claude.ai", "claude.com"],
        local_clients: false,
        denied: &["AbCdEfGhIjKl", "pVqVGhdc0XtL-n_w5f2N"],
        not_before: Some(utc_date_time(2026, 11, 1, 6, 30, 0)),
    },
    trusted_proxies: &[
        Network::v4([10, 0, 0, 0], 8),
        Network::v4([192, 0, 2, 7], 32),
        Network::v6([0x2001, 0xdb8, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0], 32),
    ],
    egress_proxy: EgressProxySite {
        enabled: true,
        url: Some("http://proxy.example.com:3128"),
        username: Some(ValuePart::Text("gateway")),
        password: Some("EGRESS_PASSWORD"),
        no_proxy: Some(&[".internal.example.com", "10.0.0.0/8"]),
        client_metadata: true,
    },
    limits: Limits {
        connections: 800,
        connections_per_address: 200,
        registrations: 30,
        authorizations: 1_200,
        client_authorizations: 600,
        consents: 60,
        logins: 600,
        tokens: 3_000,
        client_tokens: 5_000,
        grant_tokens: 240,
        metadata_fetches: 120,
        client_metadata_fetches: 5,
    },
    shutdown: Shutdown { delay: Duration::from_secs(10), timeout: Duration::from_secs(40) },
    table: Table::new(&ROUTES, &SLOTS),
    digest: "ed4d605813fbf15ff08c0c74f4bf3ce6622bf1549b23d52a8139d99ae2222860",
};

const ROUTES: [Route; 4] = [MCP_DICE, MCP_TICKETS_V2, MCP_TICKETS, MCP_WIKI];

const SLOTS: [u16; Table::size(4)] = Table::slots(&ROUTES);

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

/// From `routes/tickets-v2.yaml`.
const MCP_TICKETS_V2: Route = Route {
    pattern: "/mcp/tickets/v2/",
    target: Target { tls: false, host: "::1", port: 80, authority: "[::1]", path: "", trailing_slash: true },
    ca_file: None,
    name: "v2",
    description: "",
    scopes: &["mcp:v2"],
    groups: &[],
    identity: Identity::Headers,
    upstream_headers: &[],
    max_body: 1_000_000,
    connect_timeout: Duration::from_secs(5),
    response_timeout: Duration::from_mins(5),
    response_idle_timeout: Duration::from_mins(1),
};

/// From `routes/tickets.yaml`.
const MCP_TICKETS: Route = Route {
    pattern: "/mcp/tickets/",
    target: Target {
        tls: true,
        host: "tickets.internal.example.com",
        port: 8443,
        authority: "tickets.internal.example.com:8443",
        path: "/api/mcp",
        trailing_slash: true,
    },
    ca_file: Some("/run/secrets/tickets-ca.pem"),
    name: "Tickets “EU”",
    description: "Reads and writes the support desk's \"tickets\", in Europe.",
    scopes: &["tickets:read", "tickets:write"],
    groups: &["Support", "Support leads"],
    identity: Identity::None,
    upstream_headers: &[],
    max_body: 65_536,
    connect_timeout: Duration::from_millis(1_500),
    response_timeout: Duration::from_hours(2),
    response_idle_timeout: Duration::from_mins(3),
};

/// From `routes/wiki.yaml`.
const MCP_WIKI: Route = Route {
    pattern: "/mcp/wiki/",
    target: Target {
        tls: true,
        host: "wiki.internal.example.com",
        port: 443,
        authority: "wiki.internal.example.com",
        path: "",
        trailing_slash: false,
    },
    ca_file: Some("/etc/ssl/internal-ca.pem"),
    name: "wiki",
    description: "",
    scopes: &["mcp:wiki"],
    groups: &[],
    identity: Identity::Headers,
    upstream_headers: &[
        UpstreamHeader {
            name: "Authorization",
            value: &[ValuePart::Text("Bearer "), ValuePart::Variable("WIKI_TOKEN")],
        },
        UpstreamHeader { name: "X-Wiki-Tenant", value: &[ValuePart::Text("europe")] },
        UpstreamHeader {
            name: "X-Wiki-Signature",
            value: &[
                ValuePart::Text("tenant=europe, user="),
                ValuePart::Variable("WIKI_USER"),
                ValuePart::Text(", key="),
                ValuePart::Variable("WIKI_KEY"),
                ValuePart::Text(", algorithm=a-long-name-of-an-algorithm"),
            ],
        },
    ],
    max_body: 4_194_304,
    connect_timeout: Duration::from_secs(5),
    response_timeout: Duration::from_mins(5),
    response_idle_timeout: Duration::from_mins(1),
};

const CLIENT_DOCUMENTS: [ClientDocument; 2] = [
    // From `clients/claude-code.json`.
    ClientDocument {
        client_id: "https://claude.ai/oauth/claude-code-client-metadata",
        json: r#"{
  "client_id": "https://claude.ai/oauth/claude-code-client-metadata",
  "client_name": "Claude Code",
  "client_uri": "https://claude.ai",
  "redirect_uris": [
    "http://localhost/callback",
    "http://127.0.0.1/callback"
  ],
  "grant_types": [
    "authorization_code",
    "refresh_token"
  ],
  "response_types": [
    "code"
  ],
  "token_endpoint_auth_method": "none"
}"#,
    },
    // From `clients/notes.json`.
    ClientDocument {
        client_id: "https://notes.example.com/client.json",
        json: r##"{"client_id":"https://notes.example.com/client.json","client_name":"A \"# note","redirect_uris":["acme-notes:/callback"]}"##,
    },
];
