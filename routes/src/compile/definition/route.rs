//! Definition of a route: an entry of `proxies:` or an included file.

use super::super::problem::{LineError, ReadResult, ValueError};
use super::super::section::{Section, SectionKeys};
use super::super::tree::Node;
use super::super::value::{
    self, ParseResult, duration_between, leak, leak_slice, list, non_empty, plain_or_quoted, text,
};
use crate::{Identity, Route};
use std::time::Duration;

pub(super) const KEYS: SectionKeys = SectionKeys {
    description: "a route",
    known: &[
        "pattern",
        "target_url",
        "ca_file",
        "name",
        "description",
        "scopes",
        "groups",
        "identity",
        "upstream_headers",
        "max_body",
        "connect_timeout",
        "response_timeout",
        "response_idle_timeout",
    ],
    unsupported: &["tools", "upstream_auth", "limits", "admin_group"],
    misplaced: &[],
};

/// Route of which some keys may be invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartialRoute {
    /// Valid pattern with its line.
    pub(crate) pattern: Option<(usize, &'static str)>,
    /// Route, if its required keys are valid; used only when there are no errors.
    pub(crate) route: Option<Route>,
}

/// Reads a route with all errors in it.
pub(crate) fn route(node: &Node) -> (PartialRoute, Vec<LineError>) {
    match Section::open(node, &KEYS) {
        Ok(section) => read(section),
        Err(errors) => (PartialRoute { pattern: None, route: None }, errors),
    }
}

fn read(mut section: Section<'_>) -> (PartialRoute, Vec<LineError>) {
    let pattern = section.required("pattern", "\"/mcp/dice/\"", located(text(value::pattern)));
    let target = section.required("target_url", "\"http://localhost:3000\"", text(value::target));
    let ca_file = section.optional("ca_file", located(text(value::absolute_file)));
    let name = section.optional("name", text(value::label));
    let description = section.optional("description", text(value::sentence));
    let every_scope =
        non_empty(list(text(value::scope)), "name a scope, or remove the key: the route then makes its own");
    let scopes = section.optional("scopes", every_scope);
    let every_group =
        non_empty(list(text(value::identifier)), "name a group, or remove the key to let everyone in");
    let groups = section.optional("groups", every_group);
    let identity = section.optional("identity", text(identity));
    let upstream_headers = section.optional("upstream_headers", value::upstream_headers);
    let max_body = section.optional("max_body", plain_or_quoted(value::size));
    let timeout = || plain_or_quoted(duration_between("100ms"..="24h"));
    let connect_timeout = section.optional("connect_timeout", timeout());
    let response_timeout = section.optional("response_timeout", timeout());
    let response_idle_timeout = section.optional("response_idle_timeout", timeout());
    let route = pattern.zip(target).map(|((_, pattern), target)| Route {
        pattern,
        target,
        ca_file: ca_file.map(|(_, file)| file),
        name: name.unwrap_or_else(|| value::last_segment(pattern)),
        description: description.unwrap_or_default(),
        scopes: scopes.unwrap_or_else(|| own_scope(pattern)),
        groups: groups.unwrap_or_default(),
        identity: identity.unwrap_or(Identity::Headers),
        upstream_headers: upstream_headers.unwrap_or_default(),
        max_body: max_body.unwrap_or(4 << 20),
        connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(5)),
        response_timeout: response_timeout.unwrap_or(Duration::from_mins(5)),
        response_idle_timeout: response_idle_timeout.unwrap_or(Duration::from_mins(1)),
    });
    let mut errors = section.close();
    if let (Some((line, _)), Some(false)) = (ca_file, target.map(|target| target.tls)) {
        let error =
            ValueError::new("the target is not https", "remove the key, or write an https `target_url`");
        errors.push(error.at(line).under("ca_file"));
    }
    (PartialRoute { pattern, route }, errors)
}

fn located<T>(read: impl Fn(&Node) -> ReadResult<T>) -> impl Fn(&Node) -> ReadResult<(usize, T)> {
    move |node| Ok((node.line, read(node)?))
}

fn own_scope(pattern: &'static str) -> &'static [&'static str] {
    leak_slice(vec![leak(format!("mcp:{}", value::last_segment(pattern)))])
}

fn identity(text: &str) -> ParseResult<Identity> {
    match text {
        "none" => Ok(Identity::None),
        "headers" => Ok(Identity::Headers),
        "jwt" => Err(value::unsupported("identity: jwt", "write headers or none")),
        _ => value::unknown_word(text, "none or headers"),
    }
}
