//! The site: the file that `GATEWAY_CONFIG` names.

use super::super::problem::{Fault, Read, Wrong};
use super::super::section::{Keys, Section};
use super::super::tree::{Node, Value};
use super::super::value::{self, Parsed, list, some, text, within, written};
use super::limits::{self, limits};
use super::registration::{self, registration};
use super::route::{self, Draft, route};
use crate::{AuthorizationServer, Limits, Network, OktaSite, RefreshReuse, Registration, Tokens};
use std::time::Duration;

pub(super) const SITE: Keys = Keys {
    what: "the site",
    known: &[
        "environment",
        "base_url",
        "port",
        "okta",
        "tokens",
        "allowed_origins",
        "redirect_schemes",
        "trusted_redirect_hosts",
        "client_metadata_hosts",
        "advertise_iss",
        "refresh_reuse",
        "okta_grace",
        "registration",
        "trusted_proxies",
        "limits",
        "ca_file",
        "include",
        "proxies",
    ],
    later: &["clients", "admin_listen", "branding", "admin_group", "upstream_auth"],
    elsewhere: &[
        (&route::KEYS, "into an entry of `proxies:`"),
        (&OKTA, "below `okta:`"),
        (&TOKENS, "below `tokens:`"),
        (&registration::KEYS, "below `registration:`"),
        (&limits::KEYS, "below `limits:`"),
    ],
};

pub(super) const OKTA: Keys = Keys {
    what: "the section",
    known: &["url", "authorization_server", "client_id", "redirect_uri", "groups_claim", "trust_email"],
    later: &[],
    elsewhere: &[],
};

pub(super) const TOKENS: Keys = Keys {
    what: "the section",
    known: &["access_ttl", "refresh_ttl", "code_ttl"],
    later: &[],
    elsewhere: &[],
};

/// The hosts of the known MCP clients' own callbacks.
const CLIENT_HOSTS: &[&str] = &[
    "claude.ai",
    "claude.com",
    "chatgpt.com",
    "cursor.com",
    "www.cursor.com",
    "insiders.vscode.dev",
    "vscode.dev",
];

const ANY_HOST: &str = "name a host, or remove the key to let clients publish what they are anywhere";

/// A site as far as it could be read; it counts only when nothing is wrong.
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
    pub(crate) client_metadata_hosts: &'static [&'static str],
    pub(crate) advertise_iss: bool,
    pub(crate) refresh_reuse: RefreshReuse,
    pub(crate) okta_grace: Duration,
    pub(crate) registration: Registration,
    pub(crate) trusted_proxies: &'static [Network],
    pub(crate) limits: Limits,
    /// Of every route to an https target that has none of its own.
    pub(crate) ca_file: Option<&'static str>,
    /// Where the other routes are.
    pub(crate) include: Vec<Glob>,
    /// The routes of this file.
    pub(crate) proxies: Vec<Draft>,
}

/// An entry of `include:`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glob {
    pub(crate) line: usize,
    pub(crate) text: &'static str,
}

/// Reads a site; what is wrong with it stands beside what could be read.
pub(crate) fn site(node: &Node) -> (Option<Definition>, Vec<Fault>) {
    match Section::open(node, &SITE) {
        Ok(section) => {
            let (definition, faults) = read(section);
            (Some(definition), faults)
        }
        Err(faults) => (None, faults),
    }
}

fn read(mut section: Section<'_>) -> (Definition, Vec<Fault>) {
    let mut definition = Definition {
        environment: section.optional("environment", text(value::label)).unwrap_or("development"),
        base_url: section.optional("base_url", text(value::base_url)),
        port: section.optional("port", value::port),
        okta: section.optional("okta", okta).unwrap_or(OKTA_DEFAULT),
        tokens: section.optional("tokens", tokens).unwrap_or(TOKENS_DEFAULT),
        allowed_origins: section.optional("allowed_origins", list(text(value::origin))).unwrap_or_default(),
        redirect_schemes: section
            .optional("redirect_schemes", list(text(value::redirect_scheme)))
            .unwrap_or_default(),
        trusted_redirect_hosts: section
            .optional("trusted_redirect_hosts", list(text(value::host)))
            .unwrap_or(CLIENT_HOSTS),
        client_metadata_hosts: section
            .optional("client_metadata_hosts", some(list(text(value::host)), ANY_HOST))
            .unwrap_or_default(),
        advertise_iss: section.optional("advertise_iss", value::flag).unwrap_or(true),
        refresh_reuse: section.optional("refresh_reuse", text(refresh_reuse)).unwrap_or(RefreshReuse::Revoke),
        okta_grace: section
            .optional("okta_grace", written(within("0s"..="24h")))
            .unwrap_or(Duration::from_hours(1)),
        registration: section.optional("registration", registration).unwrap_or(Registration::DEFAULT),
        trusted_proxies: section.optional("trusted_proxies", list(text(value::network))).unwrap_or_default(),
        limits: section.optional("limits", limits).unwrap_or(Limits::DEFAULT),
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

/// The faults of routes come with what could be read of them.
fn entries(node: &Node) -> Read<(Vec<Draft>, Vec<Fault>)> {
    let Value::List(nodes) = &node.value else {
        return Err(node.not("a list", "write a line `- pattern: …` for each route"));
    };
    let (drafts, faults): (Vec<_>, Vec<_>) = nodes.iter().map(route).unzip();
    Ok((drafts, faults.into_iter().flatten().collect()))
}

const OKTA_DEFAULT: OktaSite = OktaSite {
    url: None,
    authorization_server: AuthorizationServer::Custom("default"),
    client_id: None,
    redirect_uri: None,
    groups_claim: "groups",
    trust_email: false,
};

fn okta(node: &Node) -> Read<OktaSite> {
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
    };
    section.finish(okta)
}

const TOKENS_DEFAULT: Tokens = Tokens {
    access_ttl: Duration::from_mins(10),
    refresh_ttl: Duration::from_hours(30 * 24),
    code_ttl: Duration::from_mins(1),
};

fn tokens(node: &Node) -> Read<Tokens> {
    let mut section = Section::open(node, &TOKENS)?;
    let access = section.optional("access_ttl", written(within("60s"..="24h")));
    let refresh = section.optional("refresh_ttl", written(within("1h"..="365d")));
    let code = section.optional("code_ttl", written(within("10s"..="10m")));
    section.finish(Tokens {
        access_ttl: access.unwrap_or(TOKENS_DEFAULT.access_ttl),
        refresh_ttl: refresh.unwrap_or(TOKENS_DEFAULT.refresh_ttl),
        code_ttl: code.unwrap_or(TOKENS_DEFAULT.code_ttl),
    })
}

fn refresh_reuse(text: &str) -> Parsed<RefreshReuse> {
    match text {
        "revoke" => Ok(RefreshReuse::Revoke),
        "refuse" => Ok(RefreshReuse::Refuse),
        _ => value::none_of(text, "revoke or refuse"),
    }
}

/// The faults of globs come with those that are right, so that their files are read in any case.
fn include(node: &Node) -> Read<(Vec<Glob>, Vec<Fault>)> {
    let Value::List(nodes) = &node.value else {
        return Err(node.not("a list", "write `include: [\"routes/*.yaml\"]`"));
    };
    let mut globs: Vec<Glob> = Vec::new();
    let mut faults = Vec::new();
    for node in nodes {
        match text(value::yaml_files)(node) {
            Ok(text) if globs.iter().any(|glob| glob.text == text) => {
                faults.push(Wrong::new("the same entry stands here twice", "remove one").at(node.line));
            }
            Ok(text) => globs.push(Glob { line: node.line, text }),
            Err(wrong) => faults.extend(wrong),
        }
    }
    Ok((globs, faults.into_iter().map(|fault| fault.under("include")).collect()))
}
