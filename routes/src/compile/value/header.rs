//! `upstream_headers:`: header names, and values with `${VARIABLES}`.

use super::super::problem::{LineError, ReadResult, ValueError, quoted};
use super::super::tree::{Entry, Node, Value};
use super::{ParseResult, leak, leak_slice, text};
use crate::{ReservedHeader, UpstreamHeader, ValuePart, is_reserved_variable, reserved_header};

/// Most headers of a route.
const MAX_HEADERS: usize = 16;
/// Longest header name and longest name of a variable.
const MAX_NAME_CHARS: usize = 128;
/// Longest value in YAML.
const MAX_VALUE_CHARS: usize = 1024;
/// Parts of the names of headers that hold secrets.
const SECRET_WORDS: &[&str] = &[
    "auth",
    "bearer",
    "cookie",
    "credential",
    "jwt",
    "key",
    "passw",
    "secret",
    "session",
    "signature",
    "token",
];
/// Schemes of credentials, which begin a secret value whatever the header's name is.
const SCHEMES: &[&str] = &["basic ", "bearer ", "digest ", "token "];

/// Reads the headers of a route.
pub(crate) fn upstream_headers(node: &Node) -> ReadResult<&'static [UpstreamHeader]> {
    let Value::Map(entries) = &node.value else {
        let remedy = "write a line `Name: \"${VARIABLE}\"` for each header";
        return Err(node.shape_error("a mapping", remedy));
    };
    if entries.is_empty() || entries.len() > MAX_HEADERS {
        let message = format!("there are {} headers", entries.len());
        let remedy = format!("write 1 to {MAX_HEADERS}, or remove the key");
        return Err(vec![ValueError::new(message, remedy).at(node.line)]);
    }
    let (mut headers, mut errors): (Vec<UpstreamHeader>, Vec<LineError>) = (Vec::new(), Vec::new());
    for entry in entries {
        match header(entry) {
            Ok(header) => match headers.iter().find(|earlier| earlier.is_read_from(header.name)) {
                Some(earlier) => {
                    let message = format!("servers may read {} and {} as one", header.name, earlier.name);
                    errors.push(ValueError::new(message, "keep one of the two").at(entry.line));
                }
                None => headers.push(header),
            },
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() { Ok(leak_slice(headers)) } else { Err(errors) }
}

fn header(entry: &Entry) -> ReadResult<UpstreamHeader> {
    let under = |errors: Vec<LineError>| -> Vec<LineError> {
        errors.into_iter().map(|error| error.under(&entry.key)).collect()
    };
    let name = name(&entry.key).map_err(|error| vec![error.at(entry.line)]);
    // The value is read even when the name is wrong: all errors are reported at once.
    let value = text(value)(&entry.value).map_err(under);
    let (name, value) = match (name, value) {
        (Ok(name), Ok(value)) => (name, value),
        (name, value) => return Err(name.err().into_iter().chain(value.err()).flatten().collect()),
    };
    let header = UpstreamHeader { name, value };
    let plain = value.iter().any(|part| matches!(part, ValuePart::Text(text) if begins_with_scheme(text)));
    if header.variables().next().is_none() && (plain || is_secret(name)) {
        let message = "the value of a credential would be compiled in";
        let remedy = "write `${VARIABLE}`, and set that variable at run time";
        return Err(under(vec![ValueError::new(message, remedy).at(entry.value.line)]));
    }
    Ok(header)
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

fn begins_with_scheme(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

/// Parses a header name (RFC 9110 §5.1) that the gateway does not set itself.
fn name(name: &str) -> ParseResult<&'static str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.bytes().all(is_token) {
        let message = format!("{} is not a header name", quoted(name));
        return Err(ValueError::new(
            message,
            "write one such as Authorization or X-Api-Key, without a colon",
        ));
    }
    let reason = match reserved_header(name) {
        None => return Ok(leak(name)),
        Some(ReservedHeader::Transport) => "the gateway sets it for each request itself",
        Some(ReservedHeader::Mcp) => "the MCP protocol sets it for each request",
        Some(ReservedHeader::Forwarding) => {
            "servers read the user's identity, the client address or the URL of a request from it"
        }
    };
    Err(ValueError::new(format!("`{name}` cannot be set here: {reason}"), "remove it"))
}

/// Parses a value of literal text and `${VARIABLES}`.
fn value(text: &str) -> ParseResult<&'static [ValuePart]> {
    if text.is_empty() || text.trim_matches([' ', '\t']) != text {
        return Err(ValueError::new("the value is empty or has white space around it", "write it without"));
    }
    if text.len() > MAX_VALUE_CHARS || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let remedy = format!("write at most {MAX_VALUE_CHARS} visible ASCII characters on one line");
        return Err(ValueError::new("no header can have this value", remedy));
    }
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        let Some((name, after)) = after.strip_prefix('{').and_then(|after| after.split_once('}')) else {
            let remedy = "write `${VARIABLE}`; a dollar sign itself must be part of a variable's value";
            return Err(ValueError::new("`$` is not followed by `{VARIABLE}`", remedy));
        };
        if !before.is_empty() {
            parts.push(ValuePart::Text(leak(before)));
        }
        parts.push(ValuePart::Variable(variable(name)?));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(ValuePart::Text(leak(rest)));
    }
    Ok(leak_slice(parts))
}

/// Parses `${VARIABLE}` alone; `None` for a text that does not contain one.
pub(crate) fn variable_reference(text: &str) -> Option<ParseResult<&'static str>> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    Some(variable(name))
}

/// Parses the name of a variable that is not the gateway's own.
fn variable(name: &str) -> ParseResult<&'static str> {
    let is_first = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    let is_other = |byte: u8| is_first(&byte) || byte.is_ascii_digit();
    let is_name = name.as_bytes().first().is_some_and(is_first) && name.bytes().all(is_other);
    if !is_name || name.len() > MAX_NAME_CHARS {
        let message = format!("{} is not the name of a variable", quoted(name));
        return Err(ValueError::new(message, "write capital letters, digits and `_`, such as NOTION_TOKEN"));
    }
    if is_reserved_variable(name) {
        let message =
            format!("{name} is a variable of the gateway itself, and must not go to another server");
        return Err(ValueError::new(message, "name a variable of its own for that server's credential"));
    }
    if let Some(plain) = name.strip_suffix("_FILE") {
        let message = format!("{name} would be the path of a file");
        let remedy = format!("write `${{{plain}}}`: it is read from the file that {name} names as well");
        return Err(ValueError::new(message, remedy));
    }
    Ok(leak(name))
}
