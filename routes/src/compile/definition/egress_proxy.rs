//! Section `egress_proxy:`: proxy of requests to Okta and to the hosts of client documents.

use super::super::problem::{ReadResult, ValueError, quoted};
use super::super::section::{Section, SectionKeys};
use super::super::tree::{Node, Value};
use super::super::value::{self, ParseResult, leak, list, text, variable_reference};
use crate::{EgressProxySite, ValuePart};
use url::Url;

pub(super) const KEYS: SectionKeys = SectionKeys {
    description: "the section",
    known: &["url", "username", "password", "no_proxy", "client_metadata"],
    unsupported: &[],
    misplaced: &[],
};

/// Longest user name.
const MAX_USERNAME_CHARS: usize = 256;
const NOT_COMPILED_IN: &str =
    "write `password: \"${VARIABLE}\"`, and set that variable or VARIABLE_FILE at run time";

pub(super) fn egress_proxy(node: &Node) -> ReadResult<EgressProxySite> {
    if !matches!(node.value, Value::Map(_)) {
        return text(off)(node);
    }
    let mut section = Section::open(node, &KEYS)?;
    let proxy = EgressProxySite {
        enabled: true,
        url: section.optional("url", text(url)),
        username: section.optional("username", text(username)),
        password: section.optional("password", text(password)),
        no_proxy: section.optional("no_proxy", list(text(direct))),
        client_metadata: section.optional("client_metadata", value::flag).unwrap_or(false),
    };
    let proxy = section.finish(proxy)?;
    if proxy.username.is_some() == proxy.password.is_some() {
        return Ok(proxy);
    }
    let incomplete = ValueError::new(
        "`username` and `password` belong together",
        "write both, or neither for a proxy that wants no credential",
    );
    Err(vec![incomplete.at(node.line)])
}

/// Parses the short form.
fn off(text: &str) -> ParseResult<EgressProxySite> {
    if text == "off" {
        return Ok(EgressProxySite { enabled: false, ..EgressProxySite::DEFAULT });
    }
    let remedy = "write `egress_proxy: { url: \"http://proxy.example.com:3128\" }`, or `egress_proxy: off` to ignore \
                  HTTPS_PROXY";
    Err(ValueError::new(format!("{} is neither a section nor off", quoted(&without_userinfo(text))), remedy))
}

/// Parses the origin of a proxy.
fn url(text: &str) -> ParseResult<&'static str> {
    const REMEDY: &str = "write scheme, host and port, such as http://proxy.example.com:3128";
    let invalid =
        |why: &str| Err(ValueError::new(format!("{} {why}", quoted(&without_userinfo(text))), REMEDY));
    let Ok(url) = Url::parse(text) else { return invalid("is not a URL") };
    if !matches!(url.scheme(), "http" | "https") {
        return invalid("is not the URL of an http proxy");
    }
    if !url.username().is_empty() || url.password().is_some() {
        let message = "a URL with credentials would be compiled in";
        return Err(ValueError::new(message, "write `username` and `password: \"${VARIABLE}\"` beside it"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return invalid("has more than a scheme, a host and a port");
    }
    Ok(leak(text.trim_end_matches('/')))
}

/// Removes what may be a password, which must not be printed by a build.
fn without_userinfo(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, rest)| format!("…@{rest}"))
}

fn username(text: &str) -> ParseResult<ValuePart> {
    if let Some(variable) = variable_reference(text) {
        return variable.map(ValuePart::Variable);
    }
    let is_valid = |text: &str| {
        text.len() <= MAX_USERNAME_CHARS
            && text.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b':')
    };
    if text.is_empty() || text.contains('$') || !is_valid(text) {
        let remedy = "write visible ASCII characters without a colon, or `${VARIABLE}`";
        return Err(ValueError::new(format!("{} is not the name of a user", quoted(text)), remedy));
    }
    Ok(ValuePart::Text(leak(text)))
}

fn password(text: &str) -> ParseResult<&'static str> {
    let plain = || Err(ValueError::new("the password would be compiled in", NOT_COMPILED_IN));
    variable_reference(text).unwrap_or_else(plain)
}

/// Parses a host, which stands for the hosts below it too, or a network.
fn direct(text: &str) -> ParseResult<&'static str> {
    let is_network = text.contains('/') && !text.contains("://");
    if is_network || value::network(text).is_ok() {
        return value::network(text).map(|_| leak(text));
    }
    value::host(text.strip_prefix('.').unwrap_or(text)).map(|_| leak(text))
}
