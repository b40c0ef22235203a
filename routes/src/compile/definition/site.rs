//! Definition of a site: the file that `GATEWAY_CONFIG` names.

use super::super::problem::{LineError, ReadResult};
use super::super::section::{Section, SectionKeys};
use super::super::tree::{Node, Value};
use super::super::value::{self, ParseResult, duration_between, list, plain_or_quoted, text};
use super::client_metadata::{self, ClientMetadataKeys, client_metadata};
use super::egress_proxy::egress_proxy;
use super::glob::{Glob, globs};
use super::limits::{self, limits};
use super::registration::{self, registration};
use super::route::{self, PartialRoute, route};
use super::shutdown::{self, shutdown};
use crate::{
    AuthorizationServer, EgressProxySite, Limits, Network, OktaSite, RefreshReuse, Registration, Shutdown,
    Tokens,
};
use std::time::Duration;

pub(super) const SITE: SectionKeys = SectionKeys {
    description: "the site",
    known: &[
        "environment",
        "base_url",
        "port",
        "okta",
        "tokens",
        "allowed_origins",
        "redirect_schemes",
        "trusted_redirect_hosts",
        "client_metadata",
        "advertise_iss",
        "refresh_reuse",
        "okta_grace",
        "okta_recheck",
        "registration",
        "trusted_proxies",
        "egress_proxy",
        "limits",
        "shutdown",
        "ca_file",
        "include",
        "proxies",
    ],
    unsupported: &["clients", "admin_listen", "branding", "admin_group", "upstream_auth"],
    misplaced: &[
        (&route::KEYS, "into an entry of `proxies:`"),
        (&OKTA, "below `okta:`"),
        (&TOKENS, "below `tokens:`"),
        (&registration::KEYS, "below `registration:`"),
        (&client_metadata::KEYS, "below `client_metadata:`"),
        (&limits::KEYS, "below `limits:`"),
        (&shutdown::KEYS, "below `shutdown:`"),
    ],
};

pub(super) const OKTA: SectionKeys = SectionKeys {
    description: "the section",
    known: &[
        "url",
        "authorization_server",
        "client_id",
        "redirect_uri",
        "groups_claim",
        "trust_email",
        "ca_file",
    ],
    unsupported: &[],
    misplaced: &[],
};

pub(super) const TOKENS: SectionKeys = SectionKeys {
    description: "the section",
    known: &["access_ttl", "refresh_ttl", "code_ttl"],
    unsupported: &[],
    misplaced: &[],
};

/// Hosts of the callbacks of known MCP clients.
const CLIENT_HOSTS: &[&str] = &[
    "claude.ai",
    "claude.com",
    "chatgpt.com",
    "cursor.com",
    "www.cursor.com",
    "insiders.vscode.dev",
    "vscode.dev",
];

/// Site of which some keys may be invalid; used only when there are no errors.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) environment: &'static str,
    pub(crate) base_url: Option<&'static str>,
    pub(crate) port: Option<u16>,
    pub(crate) okta: OktaSite,
    pub(crate) tokens: Tokens,
    pub(crate) allowed_origins: &'static [&'static str],
    pub(crate) redirect_schemes: &'static [&'static str],
    pub(crate) trusted_redirect_hosts: &'static [&'static str],
    pub(crate) client_metadata: ClientMetadataKeys,
    pub(crate) advertise_iss: bool,
    pub(crate) refresh_reuse: RefreshReuse,
    pub(crate) okta_grace: Duration,
    pub(crate) okta_recheck: Duration,
    pub(crate) registration: Registration,
    pub(crate) trusted_proxies: &'static [Network],
    pub(crate) egress_proxy: EgressProxySite,
    pub(crate) limits: Limits,
    pub(crate) shutdown: Shutdown,
    /// Default `ca_file` of routes with an https target.
    pub(crate) ca_file: Option<&'static str>,
    /// Globs of files with further routes.
    pub(crate) include: Vec<Glob>,
    /// Routes of this file.
    pub(crate) proxies: Vec<PartialRoute>,
}

/// Reads a site with all errors in it.
pub(crate) fn site(node: &Node) -> (Option<Definition>, Vec<LineError>) {
    match Section::open(node, &SITE) {
        Ok(section) => {
            let (definition, errors) = read(section);
            (Some(definition), errors)
        }
        Err(errors) => (None, errors),
    }
}

fn read(mut section: Section<'_>) -> (Definition, Vec<LineError>) {
    let tokens = section.optional("tokens", tokens).unwrap_or(TOKENS_DEFAULT);
    let mut definition = Definition {
        environment: section.optional("environment", text(value::label)).unwrap_or("development"),
        base_url: section.optional("base_url", text(value::base_url)),
        port: section.optional("port", value::port),
        okta: section.optional("okta", okta).unwrap_or(OKTA_DEFAULT),
        tokens,
        allowed_origins: section.optional("allowed_origins", list(text(value::origin))).unwrap_or_default(),
        redirect_schemes: section
            .optional("redirect_schemes", list(text(value::redirect_scheme)))
            .unwrap_or_default(),
        trusted_redirect_hosts: section
            .optional("trusted_redirect_hosts", list(text(value::host)))
            .unwrap_or(CLIENT_HOSTS),
        client_metadata: section.optional("client_metadata", client_metadata).unwrap_or_default(),
        advertise_iss: section.optional("advertise_iss", value::flag).unwrap_or(true),
        refresh_reuse: section.optional("refresh_reuse", text(refresh_reuse)).unwrap_or(RefreshReuse::Revoke),
        okta_grace: section
            .optional("okta_grace", plain_or_quoted(duration_between("0s"..="24h")))
            .unwrap_or(Duration::from_hours(1)),
        okta_recheck: section
            .optional("okta_recheck", plain_or_quoted(duration_between("60s"..="24h")))
            .unwrap_or(tokens.access_ttl),
        registration: section.optional("registration", registration).unwrap_or(Registration::DEFAULT),
        trusted_proxies: section.optional("trusted_proxies", list(text(value::network))).unwrap_or_default(),
        egress_proxy: section.optional("egress_proxy", egress_proxy).unwrap_or(EgressProxySite::DEFAULT),
        limits: section.optional("limits", limits).unwrap_or(Limits::DEFAULT),
        shutdown: section.optional("shutdown", shutdown).unwrap_or(Shutdown::DEFAULT),
        ca_file: section.optional("ca_file", text(value::absolute_file)),
        include: Vec::new(),
        proxies: Vec::new(),
    };
    let (include, globs) = section.optional("include", include).unwrap_or_default();
    let (proxies, routes) = section.optional("proxies", entries).unwrap_or_default();
    definition.include = include;
    definition.proxies = proxies;
    (definition, section.close().into_iter().chain(globs).chain(routes).collect())
}

/// Reads `proxies:`, returning partial routes with their errors.
fn entries(node: &Node) -> ReadResult<(Vec<PartialRoute>, Vec<LineError>)> {
    let Value::List(nodes) = &node.value else {
        return Err(node.shape_error("a list", "write a line `- pattern: …` for each route"));
    };
    let (routes, errors): (Vec<_>, Vec<_>) = nodes.iter().map(route).unzip();
    Ok((routes, errors.into_iter().flatten().collect()))
}

const OKTA_DEFAULT: OktaSite = OktaSite {
    url: None,
    authorization_server: AuthorizationServer::Custom("default"),
    client_id: None,
    redirect_uri: None,
    groups_claim: "groups",
    trust_email: false,
    ca_file: None,
};

fn okta(node: &Node) -> ReadResult<OktaSite> {
    let mut section = Section::open(node, &OKTA)?;
    let okta = OktaSite {
        url: section.optional("url", text(value::okta_url)),
        authorization_server: section
            .optional("authorization_server", text(value::authorization_server))
            .unwrap_or(OKTA_DEFAULT.authorization_server),
        client_id: section.optional("client_id", text(value::okta_id)),
        redirect_uri: section.optional("redirect_uri", text(value::redirect_uri)),
        groups_claim: section
            .optional("groups_claim", text(value::identifier))
            .unwrap_or(OKTA_DEFAULT.groups_claim),
        trust_email: section.optional("trust_email", value::flag).unwrap_or(OKTA_DEFAULT.trust_email),
        ca_file: section.optional("ca_file", text(value::absolute_file)),
    };
    section.finish(okta)
}

const TOKENS_DEFAULT: Tokens = Tokens {
    access_ttl: Duration::from_mins(10),
    refresh_ttl: Duration::from_hours(30 * 24),
    code_ttl: Duration::from_mins(1),
};

fn tokens(node: &Node) -> ReadResult<Tokens> {
    let mut section = Section::open(node, &TOKENS)?;
    let access = section.optional("access_ttl", plain_or_quoted(duration_between("60s"..="24h")));
    let refresh = section.optional("refresh_ttl", plain_or_quoted(duration_between("1h"..="365d")));
    let code = section.optional("code_ttl", plain_or_quoted(duration_between("10s"..="10m")));
    section.finish(Tokens {
        access_ttl: access.unwrap_or(TOKENS_DEFAULT.access_ttl),
        refresh_ttl: refresh.unwrap_or(TOKENS_DEFAULT.refresh_ttl),
        code_ttl: code.unwrap_or(TOKENS_DEFAULT.code_ttl),
    })
}

fn refresh_reuse(text: &str) -> ParseResult<RefreshReuse> {
    match text {
        "revoke" => Ok(RefreshReuse::Revoke),
        "refuse" => Ok(RefreshReuse::Refuse),
        _ => value::unknown_word(text, "revoke or refuse"),
    }
}

/// Reads `include:`, returning the valid globs with the errors of the others, so that their files are checked too.
fn include(node: &Node) -> ReadResult<(Vec<Glob>, Vec<LineError>)> {
    let Value::List(nodes) = &node.value else {
        return Err(node.shape_error("a list", "write `include: [\"routes/*.yaml\"]`"));
    };
    let (globs, errors) = globs(nodes, "include", "routes", value::yaml_files);
    Ok((globs, errors.into_iter().map(|error| error.under("include")).collect()))
}
