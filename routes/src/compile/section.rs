//! A mapping with a fixed set of keys, read key by key, every mistake noted.

use super::problem::{Fault, Read, Wrong};
use super::tree::{Entry, Node, Value};

/// Which keys a section has.
pub(super) struct Keys {
    /// What the section is, for a message: `a route`.
    pub(super) what: &'static str,
    /// The keys that are read.
    pub(super) known: &'static [&'static str],
    /// Keys of the specification that this version does not enforce: refused, never ignored.
    pub(super) later: &'static [&'static str],
    /// Sections whose keys people put here by mistake, and where those belong.
    pub(super) elsewhere: &'static [(&'static Keys, &'static str)],
}

/// A mapping being read.
pub(super) struct Section<'node> {
    line: usize,
    entries: Vec<&'node Entry>,
    faults: Vec<Fault>,
}

impl<'node> Section<'node> {
    /// Opens the section; keys it does not have are noted at once.
    pub(super) fn open(node: &'node Node, keys: &Keys) -> Read<Self> {
        let Value::Map(entries) = &node.value else {
            return Err(node.not("a mapping", &format!("write {} as `key: value` lines", keys.what)));
        };
        let (entries, strangers): (Vec<_>, Vec<_>) =
            entries.iter().partition(|entry| keys.known.contains(&entry.key.as_str()));
        let faults = strangers.into_iter().map(|entry| keys.refuse(entry)).collect();
        Ok(Self { line: node.line, entries, faults })
    }

    /// The value of `key`; `None` when it is not there, or wrong and noted.
    pub(super) fn optional<T>(&mut self, key: &str, read: impl Fn(&'node Node) -> Read<T>) -> Option<T> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        match read(&entry.value) {
            Ok(value) => Some(value),
            Err(faults) => {
                self.faults.extend(faults.into_iter().map(|fault| fault.under(key)));
                None
            }
        }
    }

    /// Like [`Self::optional`], but a missing key is noted too, with an example of its value.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        example: &str,
        read: impl Fn(&'node Node) -> Read<T>,
    ) -> Option<T> {
        if self.entries.iter().all(|entry| entry.key != key) {
            let missing = Wrong::new(format!("`{key}` is missing"), format!("add `{key}: {example}`"));
            self.faults.push(missing.at(self.line));
        }
        self.optional(key, read)
    }

    /// The section's value, if nothing is wrong with it.
    pub(super) fn finish<T>(self, value: T) -> Read<T> {
        if self.faults.is_empty() { Ok(value) } else { Err(self.faults) }
    }

    /// What was noted, for a caller that goes on with what could be read.
    pub(super) fn close(self) -> Vec<Fault> {
        self.faults
    }
}

impl Keys {
    fn refuse(&self, entry: &Entry) -> Fault {
        let key = entry.key.as_str();
        let wrong = if self.later.contains(&key) {
            Wrong::new(format!("this version does not enforce `{key}` yet"), "remove it")
        } else {
            Wrong::new(format!("{} has no key `{}`", self.what, key.escape_debug()), self.advice(key))
        };
        wrong.at(entry.line)
    }

    fn advice(&self, key: &str) -> String {
        if let Some(variable) = SECRETS.iter().find(|(name, _)| *name == key).map(|(_, variable)| variable) {
            return format!("remove it: secrets are set at run time, in {variable}");
        }
        if let Some((_, place)) = self.elsewhere.iter().find(|(keys, _)| keys.known.contains(&key)) {
            return format!("move it {place}");
        }
        if let Some(known) = self.known.iter().find(|known| key.len() > 2 && known.starts_with(key)) {
            return format!("write `{known}`");
        }
        let nearest = self.known.iter().map(|known| (distance(known, key), known)).min();
        match nearest {
            Some((distance, known)) if distance <= 1 + known.len() / 4 => format!("write `{known}`"),
            _ => format!("its keys are {}", self.known.join(", ")),
        }
    }
}

/// What people look for here, and where it is.
const SECRETS: [(&str, &str); 5] = [
    ("client_secret", "OKTA_CLIENT_SECRET"),
    ("okta_client_secret", "OKTA_CLIENT_SECRET"),
    ("gateway_secret", "GATEWAY_SECRET"),
    ("kvs_addr", "KVS_ADDR"),
    ("kvs_password", "KVS_PASSWORD"),
];

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[row.len() - 1]
}
