//! `registration:`: who may register itself, and whose registration still counts.

use super::super::problem::{Read, Wrong, quoted};
use super::super::section::{Keys, Section};
use super::super::tree::Node;
use super::super::value::{self, Parsed, keep, list, some, text};
use crate::Registration;

pub(super) const KEYS: Keys = Keys {
    what: "the section",
    known: &["enabled", "redirect_hosts", "local_clients", "denied", "not_before"],
    later: &[],
    elsewhere: &[],
};

const ANY_HOST: &str = "name a host, or remove the key to let clients of every host register";
/// As much of a client id as the audit log shows.
const SHORTEST_ID: usize = 12;

pub(super) fn registration(node: &Node) -> Read<Registration> {
    let mut section = Section::open(node, &KEYS)?;
    let default = Registration::DEFAULT;
    let registration = Registration {
        enabled: section.optional("enabled", value::flag).unwrap_or(default.enabled),
        redirect_hosts: section
            .optional("redirect_hosts", some(list(text(value::host)), ANY_HOST))
            .unwrap_or(default.redirect_hosts),
        local_clients: section.optional("local_clients", value::flag).unwrap_or(default.local_clients),
        denied: section.optional("denied", list(text(client_id))).unwrap_or(default.denied),
        not_before: section.optional("not_before", text(value::moment)),
    };
    section.finish(registration)
}

/// The beginning of a `client_id` of ours.
fn client_id(text: &str) -> Parsed<&'static str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if text.len() >= SHORTEST_ID && text.bytes().all(letter) {
        return Ok(keep(text));
    }
    let wrong = format!("{} is not the beginning of a client id", quoted(text));
    Err(Wrong::new(wrong, "copy it from the audit log: 12 or more letters, digits, `-` and `_`"))
}
