//! Readers of single values: first the YAML type, then the grammar.

mod address;
mod duration;
mod files;
mod header;
mod network;
mod origin;
mod pattern;
mod size;
mod utc_date_time;
mod word;

pub(super) use address::{base_url, okta_url, redirect_uri, target};
pub(super) use duration::duration_between;
pub(super) use files::{absolute_file, json_files, yaml_files};
pub(super) use header::{upstream_headers, variable_reference};
pub(super) use network::network;
pub(super) use origin::{origin, redirect_scheme};
pub(super) use pattern::pattern;
pub(super) use size::size;
pub(super) use utc_date_time::utc_date_time;
pub(super) use word::{authorization_server, host, identifier, label, okta_id, scope, sentence};

use super::problem::{ReadResult, ValueError, quoted};
use super::tree::{Node, Scalar, Value};
use serde::de::DeserializeOwned;

/// Result of parsing a value.
pub(super) type ParseResult<T> = Result<T, ValueError>;

/// Leaks a string, so that the compiler can use the [`crate::Route`] type of the server. A build script is short-lived.
pub(super) fn leak(text: impl Into<String>) -> &'static str {
    text.into().leak()
}

/// Leaks a list.
pub(super) fn leak_slice<T>(items: Vec<T>) -> &'static [T] {
    items.leak()
}

/// Reader of a string with a grammar.
pub(super) fn text<T>(grammar: impl Fn(&str) -> ParseResult<T>) -> impl Fn(&Node) -> ReadResult<T> {
    move |node| {
        let scalar = node.scalar()?;
        let parsed = match scalar.kind() {
            Kind::Text => grammar(&scalar.text),
            Kind::Other(kind) => Err(ValueError::new(
                format!("{} is {kind}, not text", scalar.text),
                format!("put it in quotes: {}", scalar.quoted()),
            )),
        };
        parsed.map_err(|error| vec![error.at(node.line)])
    }
}

/// Reader of a scalar with a grammar that may be quoted or not, such as a number with a unit.
pub(super) fn plain_or_quoted<T>(
    grammar: impl Fn(&str) -> ParseResult<T>,
) -> impl Fn(&Node) -> ReadResult<T> {
    move |node| grammar(&node.scalar()?.text).map_err(|error| vec![error.at(node.line)])
}

/// Reader of a list without duplicates.
pub(super) fn list<T: PartialEq + 'static>(
    item: impl Fn(&Node) -> ReadResult<T>,
) -> impl Fn(&Node) -> ReadResult<&'static [T]> {
    move |node| {
        let Value::List(nodes) = &node.value else {
            return Err(node.shape_error("a list", "write `[first, second]`, or a line `- item` for each"));
        };
        let mut items = Vec::new();
        let mut errors = Vec::new();
        for node in nodes {
            match item(node) {
                Ok(value) if items.contains(&value) => {
                    errors
                        .push(ValueError::new("the same entry is listed twice", "remove one").at(node.line));
                }
                Ok(value) => items.push(value),
                Err(error) => errors.extend(error),
            }
        }
        if errors.is_empty() { Ok(leak_slice(items)) } else { Err(errors) }
    }
}

/// Reader of a list that must not be empty.
pub(super) fn non_empty<T: 'static>(
    read: impl Fn(&Node) -> ReadResult<&'static [T]>,
    remedy: &'static str,
) -> impl Fn(&Node) -> ReadResult<&'static [T]> {
    move |node| match read(node)? {
        [] => Err(vec![ValueError::new("the list is empty", remedy).at(node.line)]),
        items => Ok(items),
    }
}

/// Reads `true` or `false`.
pub(super) fn flag(node: &Node) -> ReadResult<bool> {
    let scalar = node.scalar()?;
    scalar.read().ok_or_else(|| {
        let message = format!("{} is neither true nor false", scalar.quoted());
        vec![ValueError::new(message, "write true or false, without quotes").at(node.line)]
    })
}

/// Reads a TCP port.
pub(super) fn port(node: &Node) -> ReadResult<u16> {
    let scalar = node.scalar()?;
    scalar.read().filter(|port| *port > 0).ok_or_else(|| {
        let message = format!("{} is not a port", scalar.quoted());
        vec![ValueError::new(message, "write a number from 1 to 65535, without quotes").at(node.line)]
    })
}

/// Reads a number of concurrent connections.
pub(super) fn connections(node: &Node) -> ReadResult<u32> {
    let scalar = node.scalar()?;
    scalar.read().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(|| {
        let message = format!("{} is not a number of connections", scalar.quoted());
        vec![ValueError::new(message, "write a number from 1 to 1000000, without quotes").at(node.line)]
    })
}

/// Reads a number of requests per minute.
pub(super) fn per_minute(node: &Node) -> ReadResult<u32> {
    let scalar = node.scalar()?;
    scalar.read().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(|| {
        let message = format!("{} is not a number of requests a minute", scalar.quoted());
        vec![ValueError::new(message, "write a number from 1 to 1000000, without quotes").at(node.line)]
    })
}

/// Type of a scalar in YAML's core schema.
enum Kind {
    Text,
    Other(&'static str),
}

impl Node {
    fn scalar(&self) -> ReadResult<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_null() => {
                let nothing = ValueError::new("there is no value", "write one, or remove the key");
                Err(vec![nothing.at(self.line)])
            }
            Value::Scalar(scalar) => Ok(scalar),
            _ => {
                Err(self
                    .shape_error("a single value", "write it behind the colon, without brackets or dashes"))
            }
        }
    }

    /// Errors for a value of another type than `expected`; none when an error was reported already.
    pub(super) fn shape_error(&self, expected: &str, remedy: &str) -> Vec<super::problem::LineError> {
        let found = match &self.value {
            Value::Invalid => return Vec::new(),
            Value::Scalar(scalar) if scalar.is_null() => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        };
        vec![ValueError::new(format!("{expected} belongs here, not {found}"), remedy).at(self.line)]
    }
}

impl Scalar {
    /// Parses the scalar with YAML's core schema; a quoted scalar is always a string.
    fn read<T: DeserializeOwned>(&self) -> Option<T> {
        if self.plain { serde_yaml::from_str(&self.text).ok() } else { None }
    }

    fn kind(&self) -> Kind {
        match self.read() {
            Some(serde_yaml::Value::Bool(_)) => Kind::Other("a truth value"),
            Some(serde_yaml::Value::Number(_)) => Kind::Other("a number"),
            _ => Kind::Text,
        }
    }

    fn is_null(&self) -> bool {
        self.plain && (self.text.is_empty() || self.read() == Some(serde_yaml::Value::Null))
    }
}

/// Last segment of a pattern, the default name of a route.
pub(super) fn last_segment(pattern: &'static str) -> &'static str {
    pattern.trim_end_matches('/').rsplit('/').next().unwrap_or(pattern)
}

/// Error for a value that is none of the allowed words.
pub(super) fn unknown_word<T>(text: &str, words: &str) -> ParseResult<T> {
    Err(ValueError::new(format!("{} is not known", quoted(text)), format!("write {words}")))
}

/// Error for a value of the specification that this version does not support.
pub(super) fn unsupported(value: &str, remedy: &str) -> ValueError {
    ValueError::new(format!("this version does not enforce `{value}` yet"), remedy)
}
