//! Generator of the Rust constants of a site, formatted like hand-written code.

mod egress_proxy;
mod literal;
mod upstream_headers;

use super::definition::Definition;
use crate::{
    AuthorizationServer, ClientDocument, Identity, Limits, Network, OktaSite, Registration, Route, Shutdown,
    Target, Tokens,
};
use egress_proxy::egress_proxy;
use ipnet::IpNet;
use literal::{array, duration, filled, grouped, raw_string, record, strings};
use std::collections::HashSet;
use std::fmt;
use upstream_headers::upstream_headers;

/// Rust source of a site, written by `Display`.
pub(super) struct Rust<'a> {
    /// Label of the site's own file.
    pub(super) file: &'a str,
    pub(super) site: &'a Definition,
    /// Routes with the labels of their files.
    pub(super) routes: &'a [(&'a str, Route)],
    /// Client metadata documents with the labels of their files.
    pub(super) documents: &'a [(&'a str, ClientDocument)],
    pub(super) digest: &'a str,
}

impl fmt::Display for Rust<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = names(self.routes.iter().map(|(_, route)| route.pattern));
        writeln!(f, "// Compiled from {}; change it there.", self.file.escape_debug())?;
        writeln!(f)?;
        self.imports(f)?;
        writeln!(f)?;
        self.site(f)?;
        writeln!(f)?;
        let count = names.len();
        writeln!(f, "{}", array(0, &format!("const ROUTES: [Route; {count}] = ["), &names, "];"))?;
        writeln!(f)?;
        writeln!(f, "const SLOTS: [u16; Table::size({count})] = Table::slots(&ROUTES);")?;
        self.routes.iter().zip(&names).try_for_each(|((file, route), name)| {
            writeln!(f)?;
            writeln!(f, "/// From `{}`.", file.escape_debug())?;
            write_route(f, name, route)
        })?;
        self.client_documents(f)
    }
}

impl Rust<'_> {
    fn imports(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = vec!["AuthorizationServer"];
        names.extend(self.documents.first().map(|_| "ClientDocument"));
        names.extend(["ClientMetadata", "ClientMetadataMode", "EgressProxySite", "Identity", "Limits"]);
        names.extend(self.site.trusted_proxies.first().map(|_| "Network"));
        names.extend([
            "OktaSite",
            "RefreshReuse",
            "Registration",
            "Route",
            "Shutdown",
            "Site",
            "Table",
            "Target",
            "Tokens",
        ]);
        let has_headers = self.routes.iter().any(|(_, route)| !route.upstream_headers.is_empty());
        names.extend(has_headers.then_some("UpstreamHeader"));
        names.extend((has_headers || self.site.egress_proxy.username.is_some()).then_some("ValuePart"));
        names.extend(self.site.registration.not_before.map(|_| "utc_date_time"));
        writeln!(f, "use gateway_routes::{{")?;
        writeln!(f, "{}}};", filled(4, &names))?;
        writeln!(f, "use std::time::Duration;")
    }

    fn site(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let site = self.site;
        writeln!(f, "/// The site of `{}`.", self.file.escape_debug())?;
        writeln!(f, "pub const SITE: Site = Site {{")?;
        writeln!(f, "    environment: {:?},", site.environment)?;
        writeln!(f, "    base_url: {:?},", site.base_url)?;
        writeln!(f, "    port: {:?},", site.port)?;
        writeln!(f, "{}", okta(&site.okta))?;
        writeln!(f, "{}", tokens(&site.tokens))?;
        writeln!(f, "{}", strings(4, "allowed_origins", site.allowed_origins))?;
        writeln!(f, "{}", strings(4, "redirect_schemes", site.redirect_schemes))?;
        writeln!(f, "{}", strings(4, "trusted_redirect_hosts", site.trusted_redirect_hosts))?;
        writeln!(f, "{}", self.client_metadata())?;
        writeln!(f, "    advertise_iss: {},", site.advertise_iss)?;
        writeln!(f, "    refresh_reuse: RefreshReuse::{:?},", site.refresh_reuse)?;
        writeln!(f, "    okta_grace: {},", duration(site.okta_grace))?;
        writeln!(f, "    okta_recheck: {},", duration(site.okta_recheck))?;
        writeln!(f, "{}", registration(&site.registration))?;
        writeln!(f, "{}", networks(site.trusted_proxies))?;
        writeln!(f, "{}", egress_proxy(&site.egress_proxy))?;
        writeln!(f, "{}", limits(&site.limits))?;
        writeln!(f, "{}", shutdown(&site.shutdown))?;
        writeln!(f, "    table: Table::new(&ROUTES, &SLOTS),")?;
        writeln!(f, "    digest: {:?},", self.digest)?;
        writeln!(f, "}};")
    }
}

impl Rust<'_> {
    fn client_metadata(&self) -> String {
        let keys = &self.site.client_metadata;
        let documents = if self.documents.is_empty() { "&[]" } else { "&CLIENT_DOCUMENTS" };
        let fields = [
            format!("        mode: ClientMetadataMode::{:?},", keys.mode),
            strings(8, "hosts", keys.hosts),
            format!("        documents: {documents},"),
        ];
        format!("    client_metadata: ClientMetadata {{\n{}\n    }},", fields.join("\n"))
    }

    /// Writes the documents in full, so that a reader sees what is compiled in.
    fn client_documents(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.documents.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        writeln!(f, "const CLIENT_DOCUMENTS: [ClientDocument; {}] = [", self.documents.len())?;
        for (file, ClientDocument { client_id, json }) in self.documents {
            writeln!(f, "    // From `{}`.", file.escape_debug())?;
            writeln!(f, "    ClientDocument {{")?;
            writeln!(f, "        client_id: {client_id:?},")?;
            writeln!(f, "        json: {},", raw_string(json))?;
            writeln!(f, "    }},")?;
        }
        writeln!(f, "];")
    }
}

fn write_route(f: &mut fmt::Formatter<'_>, name: &str, route: &Route) -> fmt::Result {
    writeln!(f, "const {name}: Route = Route {{")?;
    writeln!(f, "    pattern: {:?},", route.pattern)?;
    writeln!(f, "{}", target(&route.target))?;
    writeln!(f, "    ca_file: {:?},", route.ca_file)?;
    writeln!(f, "    name: {:?},", route.name)?;
    writeln!(f, "    description: {:?},", route.description)?;
    writeln!(f, "{}", strings(4, "scopes", route.scopes))?;
    writeln!(f, "{}", strings(4, "groups", route.groups))?;
    writeln!(f, "    identity: {},", identity(route.identity))?;
    writeln!(f, "{}", upstream_headers(route.upstream_headers))?;
    writeln!(f, "    max_body: {},", grouped(route.max_body))?;
    writeln!(f, "    connect_timeout: {},", duration(route.connect_timeout))?;
    writeln!(f, "    response_timeout: {},", duration(route.response_timeout))?;
    writeln!(f, "    response_idle_timeout: {},", duration(route.response_idle_timeout))?;
    writeln!(f, "}};")
}

fn okta(okta: &OktaSite) -> String {
    let server = match okta.authorization_server {
        AuthorizationServer::Org => "AuthorizationServer::Org".to_owned(),
        AuthorizationServer::Custom(id) => format!("AuthorizationServer::Custom({id:?})"),
    };
    record(
        "okta: OktaSite",
        &[
            ("url", format!("{:?}", okta.url)),
            ("authorization_server", server),
            ("client_id", format!("{:?}", okta.client_id)),
            ("redirect_uri", format!("{:?}", okta.redirect_uri)),
            ("groups_claim", format!("{:?}", okta.groups_claim)),
            ("trust_email", okta.trust_email.to_string()),
            ("ca_file", format!("{:?}", okta.ca_file)),
        ],
    )
}

fn tokens(tokens: &Tokens) -> String {
    record(
        "tokens: Tokens",
        &[
            ("access_ttl", duration(tokens.access_ttl)),
            ("refresh_ttl", duration(tokens.refresh_ttl)),
            ("code_ttl", duration(tokens.code_ttl)),
        ],
    )
}

fn registration(registration: &Registration) -> String {
    let not_before = registration.not_before.map_or_else(
        || "None".to_owned(),
        |at| {
            let ((year, month, day), (hour, minute, second)) = (at.to_calendar_date(), at.as_hms());
            format!("Some(utc_date_time({year}, {}, {day}, {hour}, {minute}, {second}))", u8::from(month))
        },
    );
    let fields = [
        format!("        enabled: {},", registration.enabled),
        strings(8, "redirect_hosts", registration.redirect_hosts),
        format!("        local_clients: {},", registration.local_clients),
        strings(8, "denied", registration.denied),
        format!("        not_before: {not_before},"),
    ];
    format!("    registration: Registration {{\n{}\n    }},", fields.join("\n"))
}

fn networks(networks: &[Network]) -> String {
    let constructor = |network: &Network| match network.get() {
        IpNet::V4(network) => {
            format!("Network::v4({:?}, {})", network.addr().octets(), network.prefix_len())
        }
        IpNet::V6(network) => {
            let groups = network.addr().segments().map(|group| format!("{group:#x}")).join(", ");
            format!("Network::v6([{groups}], {})", network.prefix_len())
        }
    };
    let networks: Vec<String> = networks.iter().map(constructor).collect();
    array(4, "trusted_proxies: &[", &networks, "],")
}

fn limits(limits: &Limits) -> String {
    record(
        "limits: Limits",
        &[
            ("connections", grouped(limits.connections)),
            ("connections_per_address", grouped(limits.connections_per_address)),
            ("registrations", grouped(limits.registrations)),
            ("authorizations", grouped(limits.authorizations)),
            ("client_authorizations", grouped(limits.client_authorizations)),
            ("consents", grouped(limits.consents)),
            ("logins", grouped(limits.logins)),
            ("tokens", grouped(limits.tokens)),
            ("client_tokens", grouped(limits.client_tokens)),
            ("grant_tokens", grouped(limits.grant_tokens)),
            ("metadata_fetches", grouped(limits.metadata_fetches)),
            ("client_metadata_fetches", grouped(limits.client_metadata_fetches)),
        ],
    )
}

fn shutdown(shutdown: &Shutdown) -> String {
    record(
        "shutdown: Shutdown",
        &[("delay", duration(shutdown.delay)), ("timeout", duration(shutdown.timeout))],
    )
}

fn target(target: &Target) -> String {
    record(
        "target: Target",
        &[
            ("tls", target.tls.to_string()),
            ("host", format!("{:?}", target.host)),
            ("port", target.port.to_string()),
            ("authority", format!("{:?}", target.authority)),
            ("path", format!("{:?}", target.path)),
            ("trailing_slash", target.trailing_slash.to_string()),
        ],
    )
}

fn identity(identity: Identity) -> &'static str {
    match identity {
        Identity::None => "Identity::None",
        Identity::Headers => "Identity::Headers",
    }
}

/// Name of a constant for each pattern: `/mcp/dice/` becomes `MCP_DICE`; a number makes equal names unique.
fn names<'a>(patterns: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken: HashSet<String> = ["SITE", "ROUTES", "SLOTS", "CLIENT_DOCUMENTS"].map(String::from).into();
    let name = |pattern: &str| {
        let plain =
            pattern.trim_matches('/').replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_uppercase();
        if plain.starts_with(|c: char| c.is_ascii_digit()) { format!("R{plain}") } else { plain }
    };
    let mut unique = |name: String| {
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name));
        let free = free.unwrap_or(name);
        taken.insert(free.clone());
        free
    };
    patterns.map(|pattern| unique(name(pattern))).collect()
}
