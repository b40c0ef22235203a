//! Section `registration:`: policy of dynamic client registration.

use super::super::problem::{ReadResult, ValueError, quoted};
use super::super::section::{Section, SectionKeys};
use super::super::tree::Node;
use super::super::value::{self, ParseResult, leak, list, non_empty, text};
use crate::Registration;

pub(super) const KEYS: SectionKeys = SectionKeys {
    description: "the section",
    known: &["enabled", "redirect_hosts", "local_clients", "denied", "not_before"],
    unsupported: &[],
    misplaced: &[],
};

const ANY_HOST: &str = "name a host, or remove the key to let clients of every host register";
/// Shortest prefix of a client id, as shown in the audit log.
const MIN_ID_CHARS: usize = 12;

pub(super) fn registration(node: &Node) -> ReadResult<Registration> {
    let mut section = Section::open(node, &KEYS)?;
    let default = Registration::DEFAULT;
    let registration = Registration {
        enabled: section.optional("enabled", value::flag).unwrap_or(default.enabled),
        redirect_hosts: section
            .optional("redirect_hosts", non_empty(list(text(value::host)), ANY_HOST))
            .unwrap_or(default.redirect_hosts),
        local_clients: section.optional("local_clients", value::flag).unwrap_or(default.local_clients),
        denied: section.optional("denied", list(text(client_id))).unwrap_or(default.denied),
        not_before: section.optional("not_before", text(value::utc_date_time)),
    };
    section.finish(registration)
}

/// Parses the prefix of a `client_id` that the gateway issued.
fn client_id(text: &str) -> ParseResult<&'static str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if text.len() >= MIN_ID_CHARS && text.bytes().all(letter) {
        return Ok(leak(text));
    }
    let message = format!("{} is not the beginning of a client id", quoted(text));
    Err(ValueError::new(message, "copy it from the audit log: 12 or more letters, digits, `-` and `_`"))
}
