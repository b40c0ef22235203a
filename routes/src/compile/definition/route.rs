//! One route: an entry of `proxies:` or an included file.

use super::super::problem::{Fault, Read, Wrong};
use super::super::section::{Keys, Section};
use super::super::tree::Node;
use super::super::value::{self, Parsed, keep, keep_all, list, some, text, within, written};
use crate::{Identity, Route};
use std::time::Duration;

pub(super) const KEYS: Keys = Keys {
    what: "a route",
    known: &[
        "pattern",
        "target_url",
        "ca_file",
        "name",
        "description",
        "scopes",
        "groups",
        "identity",
        "max_body",
        "connect_timeout",
        "response_timeout",
    ],
    later: &["tools", "upstream_auth", "limits", "admin_group"],
    elsewhere: &[],
};

/// A route as far as it could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draft {
    /// The pattern, when it is one, and its line.
    pub(crate) pattern: Option<(usize, &'static str)>,
    /// The route, when its required keys are there; it counts only when nothing is wrong.
    pub(crate) route: Option<Route>,
}

/// Reads a route; what is wrong with it stands beside what could be read.
pub(crate) fn route(node: &Node) -> (Draft, Vec<Fault>) {
    match Section::open(node, &KEYS) {
        Ok(section) => read(section),
        Err(faults) => (Draft { pattern: None, route: None }, faults),
    }
}

fn read(mut section: Section<'_>) -> (Draft, Vec<Fault>) {
    let pattern = section.required("pattern", "\"/mcp/dice/\"", located(text(value::pattern)));
    let target = section.required("target_url", "\"http://localhost:3000\"", text(value::target));
    let ca_file = section.optional("ca_file", located(text(value::absolute_file)));
    let name = section.optional("name", text(value::label));
    let description = section.optional("description", text(value::sentence));
    let every_scope =
        some(list(text(value::scope)), "name a scope, or remove the key: the route then makes its own");
    let scopes = section.optional("scopes", every_scope);
    let every_group =
        some(list(text(value::identifier)), "name a group, or remove the key to let everyone in");
    let groups = section.optional("groups", every_group);
    let identity = section.optional("identity", text(identity));
    let max_body = section.optional("max_body", written(value::size));
    let timeout = || written(within("100ms"..="24h"));
    let connect_timeout = section.optional("connect_timeout", timeout());
    let response_timeout = section.optional("response_timeout", timeout());
    let route = pattern.zip(target).map(|((_, pattern), target)| Route {
        pattern,
        target,
        ca_file: ca_file.map(|(_, file)| file),
        name: name.unwrap_or_else(|| value::last_segment(pattern)),
        description: description.unwrap_or_default(),
        scopes: scopes.unwrap_or_else(|| own_scope(pattern)),
        groups: groups.unwrap_or_default(),
        identity: identity.unwrap_or(Identity::Headers),
        max_body: max_body.unwrap_or(4 << 20),
        connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(5)),
        response_timeout: response_timeout.unwrap_or(Duration::from_mins(1)),
    });
    let mut faults = section.close();
    if let (Some((line, _)), Some(false)) = (ca_file, target.map(|target| target.tls)) {
        let wrong = Wrong::new("the target is not https", "remove the key, or write an https `target_url`");
        faults.push(wrong.at(line).under("ca_file"));
    }
    (Draft { pattern, route }, faults)
}

fn located<T>(read: impl Fn(&Node) -> Read<T>) -> impl Fn(&Node) -> Read<(usize, T)> {
    move |node| Ok((node.line, read(node)?))
}

fn own_scope(pattern: &'static str) -> &'static [&'static str] {
    keep_all(vec![keep(format!("mcp:{}", value::last_segment(pattern)))])
}

fn identity(text: &str) -> Parsed<Identity> {
    match text {
        "none" => Ok(Identity::None),
        "headers" => Ok(Identity::Headers),
        "jwt" => Err(value::not_yet("identity: jwt", "write headers or none")),
        _ => value::none_of(text, "none or headers"),
    }
}
