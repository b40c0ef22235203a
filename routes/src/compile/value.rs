//! Reads single values: the shape first, then the grammar.

mod address;
mod duration;
mod files;
mod network;
mod origin;
mod pattern;
mod size;
mod utc_date_time;
mod word;

pub(super) use address::{base_url, okta_url, redirect_uri, target};
pub(super) use duration::within;
pub(super) use files::{absolute_file, yaml_files};
pub(super) use network::network;
pub(super) use origin::{origin, redirect_scheme};
pub(super) use pattern::pattern;
pub(super) use size::size;
pub(super) use utc_date_time::moment;
pub(super) use word::{authorization_server, host, identifier, label, okta_id, scope, sentence};

use super::problem::{Read, Wrong, quoted};
use super::tree::{Node, Scalar, Value};
use serde::de::DeserializeOwned;

/// What a value's grammar says.
pub(super) type Parsed<T> = Result<T, Wrong>;

/// Keeps a string for the compiler's life, so that it works on the very [`crate::Route`] that the server
/// sees. A build script lives for a second.
pub(super) fn keep(text: impl Into<String>) -> &'static str {
    text.into().leak()
}

/// Like [`keep`], for lists.
pub(super) fn keep_all<T>(items: Vec<T>) -> &'static [T] {
    items.leak()
}

/// A reader of text that follows a grammar.
pub(super) fn text<T>(grammar: impl Fn(&str) -> Parsed<T>) -> impl Fn(&Node) -> Read<T> {
    move |node| {
        let scalar = node.scalar()?;
        let parsed = match scalar.kind() {
            Kind::Text => grammar(&scalar.text),
            Kind::Other(kind) => Err(Wrong::new(
                format!("{} is {kind}, not text", scalar.text),
                format!("put it in quotes: {}", scalar.shown()),
            )),
        };
        parsed.map_err(|wrong| vec![wrong.at(node.line)])
    }
}

/// A reader of what a person writes with or without quotes: numbers with units, mostly.
pub(super) fn written<T>(grammar: impl Fn(&str) -> Parsed<T>) -> impl Fn(&Node) -> Read<T> {
    move |node| grammar(&node.scalar()?.text).map_err(|wrong| vec![wrong.at(node.line)])
}

/// A reader of lists without duplicates; items are read one by one.
pub(super) fn list<T: PartialEq + 'static>(
    item: impl Fn(&Node) -> Read<T>,
) -> impl Fn(&Node) -> Read<&'static [T]> {
    move |node| {
        let Value::List(nodes) = &node.value else {
            return Err(node.not("a list", "write `[first, second]`, or a line `- item` for each"));
        };
        let mut items = Vec::new();
        let mut faults = Vec::new();
        for node in nodes {
            match item(node) {
                Ok(value) if items.contains(&value) => {
                    faults.push(Wrong::new("the same entry stands here twice", "remove one").at(node.line));
                }
                Ok(value) => items.push(value),
                Err(wrong) => faults.extend(wrong),
            }
        }
        if faults.is_empty() { Ok(keep_all(items)) } else { Err(faults) }
    }
}

/// A list that would mean nothing, or everything, if it were empty.
pub(super) fn some<T: 'static>(
    read: impl Fn(&Node) -> Read<&'static [T]>,
    remedy: &'static str,
) -> impl Fn(&Node) -> Read<&'static [T]> {
    move |node| match read(node)? {
        [] => Err(vec![Wrong::new("the list is empty", remedy).at(node.line)]),
        items => Ok(items),
    }
}

/// `true` or `false`.
pub(super) fn flag(node: &Node) -> Read<bool> {
    let scalar = node.scalar()?;
    scalar.read().ok_or_else(|| {
        let wrong = format!("{} is neither true nor false", scalar.shown());
        vec![Wrong::new(wrong, "write true or false, without quotes").at(node.line)]
    })
}

/// A TCP port to listen on.
pub(super) fn port(node: &Node) -> Read<u16> {
    let scalar = node.scalar()?;
    scalar.read().filter(|port| *port > 0).ok_or_else(|| {
        let wrong = format!("{} is not a port", scalar.shown());
        vec![Wrong::new(wrong, "write a number from 1 to 65535, without quotes").at(node.line)]
    })
}

/// A number of connections at a time.
pub(super) fn connections(node: &Node) -> Read<u32> {
    let scalar = node.scalar()?;
    scalar.read().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(|| {
        let wrong = format!("{} is not a number of connections", scalar.shown());
        vec![Wrong::new(wrong, "write a number from 1 to 1000000, without quotes").at(node.line)]
    })
}

/// A number of requests a minute.
pub(super) fn per_minute(node: &Node) -> Read<u32> {
    let scalar = node.scalar()?;
    scalar.read().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(|| {
        let wrong = format!("{} is not a number of requests a minute", scalar.shown());
        vec![Wrong::new(wrong, "write a number from 1 to 1000000, without quotes").at(node.line)]
    })
}

/// What YAML takes a scalar for.
enum Kind {
    Text,
    Other(&'static str),
}

impl Node {
    fn scalar(&self) -> Read<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_nothing() => {
                let nothing = Wrong::new("there is no value", "write one, or remove the key");
                Err(vec![nothing.at(self.line)])
            }
            Value::Scalar(scalar) => Ok(scalar),
            _ => Err(self.not("a single value", "write it behind the colon, without brackets or dashes")),
        }
    }

    /// The fault of having another shape than `what`; none when a fault was reported already.
    pub(super) fn not(&self, what: &str, remedy: &str) -> Vec<super::problem::Fault> {
        let found = match &self.value {
            Value::Refused => return Vec::new(),
            Value::Scalar(scalar) if scalar.is_nothing() => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        };
        vec![Wrong::new(format!("{what} belongs here, not {found}"), remedy).at(self.line)]
    }
}

impl Scalar {
    /// The scalar as YAML's core schema types it; quotes make everything text.
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

    fn is_nothing(&self) -> bool {
        self.plain && (self.text.is_empty() || self.read() == Some(serde_yaml::Value::Null))
    }
}

/// The last segment of a pattern: what a route is called when it has no name.
pub(super) fn last_segment(pattern: &'static str) -> &'static str {
    pattern.trim_end_matches('/').rsplit('/').next().unwrap_or(pattern)
}

/// The wrong of a value that is none of a few words.
pub(super) fn none_of<T>(text: &str, words: &str) -> Parsed<T> {
    Err(Wrong::new(format!("{} is not known", quoted(text)), format!("write {words}")))
}

/// The wrong of a value that the specification has and this version does not enforce.
pub(super) fn not_yet(value: &str, remedy: &str) -> Wrong {
    Wrong::new(format!("this version does not enforce `{value}` yet"), remedy)
}
