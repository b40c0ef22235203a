//! Reader of a mapping with a fixed set of keys that collects all errors.

use super::problem::{LineError, ReadResult, ValueError};
use super::tree::{Entry, Node, Value};

/// Keys of a section.
pub(super) struct SectionKeys {
    /// Name of the section in messages, such as `a route`.
    pub(super) description: &'static str,
    /// Supported keys.
    pub(super) known: &'static [&'static str],
    /// Keys of the specification that this version does not support. They are rejected, not ignored.
    pub(super) unsupported: &'static [&'static str],
    /// Other sections whose keys are often misplaced here, with their location.
    pub(super) misplaced: &'static [(&'static SectionKeys, &'static str)],
}

/// Reader of one mapping.
pub(super) struct Section<'node> {
    line: usize,
    entries: Vec<&'node Entry>,
    errors: Vec<LineError>,
}

impl<'node> Section<'node> {
    /// Opens a section and records its unknown keys as errors.
    pub(super) fn open(node: &'node Node, keys: &SectionKeys) -> ReadResult<Self> {
        let Value::Map(entries) = &node.value else {
            return Err(
                node.shape_error("a mapping", &format!("write {} as `key: value` lines", keys.description))
            );
        };
        let (entries, unknown): (Vec<_>, Vec<_>) =
            entries.iter().partition(|entry| keys.known.contains(&entry.key.as_str()));
        let errors = unknown.into_iter().map(|entry| keys.reject(entry)).collect();
        Ok(Self { line: node.line, entries, errors })
    }

    /// Reads the value of `key`; `None` when it is missing, or invalid and recorded as an error.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        read: impl Fn(&'node Node) -> ReadResult<T>,
    ) -> Option<T> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        match read(&entry.value) {
            Ok(value) => Some(value),
            Err(errors) => {
                self.errors.extend(errors.into_iter().map(|error| error.under(key)));
                None
            }
        }
    }

    /// Like [`Self::optional`], but records a missing key as an error, with an example of its value.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        example: &str,
        read: impl Fn(&'node Node) -> ReadResult<T>,
    ) -> Option<T> {
        if self.entries.iter().all(|entry| entry.key != key) {
            let missing = ValueError::new(format!("`{key}` is missing"), format!("add `{key}: {example}`"));
            self.errors.push(missing.at(self.line));
        }
        self.optional(key, read)
    }

    /// Returns `value` if there are no errors.
    pub(super) fn finish<T>(self, value: T) -> ReadResult<T> {
        if self.errors.is_empty() { Ok(value) } else { Err(self.errors) }
    }

    /// Returns the recorded errors, for a caller that continues with a partial value.
    pub(super) fn close(self) -> Vec<LineError> {
        self.errors
    }
}

impl SectionKeys {
    fn reject(&self, entry: &Entry) -> LineError {
        let key = entry.key.as_str();
        let error = if self.unsupported.contains(&key) {
            ValueError::new(format!("this version does not enforce `{key}` yet"), "remove it")
        } else {
            ValueError::new(
                format!("{} has no key `{}`", self.description, key.escape_debug()),
                self.advice(key),
            )
        };
        error.at(entry.line)
    }

    fn advice(&self, key: &str) -> String {
        if let Some(variable) =
            SECRET_VARIABLES.iter().find(|(name, _)| *name == key).map(|(_, variable)| variable)
        {
            return format!("remove it: secrets are set at run time, in {variable}");
        }
        if let Some((_, replacement)) = RENAMED.iter().find(|(name, _)| *name == key) {
            return format!("write `{replacement}`");
        }
        if let Some((_, location)) = self.misplaced.iter().find(|(keys, _)| keys.known.contains(&key)) {
            return format!("move it {location}");
        }
        if let Some(known) = self.known.iter().find(|known| key.len() > 2 && known.starts_with(key)) {
            return format!("write `{known}`");
        }
        let nearest = self.known.iter().map(|known| (strsim::levenshtein(known, key), known)).min();
        match nearest {
            Some((distance, known)) if distance <= 1 + known.len() / 4 => format!("write `{known}`"),
            _ => format!("its keys are {}", self.known.join(", ")),
        }
    }
}

/// Keys of earlier versions, with their replacements.
const RENAMED: [(&str, &str); 1] = [("client_metadata_hosts", "client_metadata: { hosts: […] }")];

/// Keys of secrets, with the environment variables that hold them.
const SECRET_VARIABLES: [(&str, &str); 5] = [
    ("client_secret", "OKTA_CLIENT_SECRET"),
    ("okta_client_secret", "OKTA_CLIENT_SECRET"),
    ("gateway_secret", "GATEWAY_SECRET"),
    ("kvs_addr", "KVS_ADDR"),
    ("kvs_password", "KVS_PASSWORD"),
];
