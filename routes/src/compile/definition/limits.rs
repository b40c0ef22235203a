//! `limits:`: how often one address, and one client there, may ask for something in a minute.

use super::super::problem::Read;
use super::super::section::{Keys, Section};
use super::super::tree::Node;
use super::super::value::per_minute;
use crate::Limits;

pub(super) const KEYS: Keys = Keys {
    what: "the section",
    known: &[
        "registrations",
        "authorizations",
        "client_authorizations",
        "logins",
        "tokens",
        "client_tokens",
        "metadata_fetches",
        "client_metadata_fetches",
    ],
    later: &[],
    elsewhere: &[],
};

pub(super) fn limits(node: &Node) -> Read<Limits> {
    let mut section = Section::open(node, &KEYS)?;
    let mut limit = |key, default| section.optional(key, per_minute).unwrap_or(default);
    let limits = Limits {
        registrations: limit("registrations", Limits::DEFAULT.registrations),
        authorizations: limit("authorizations", Limits::DEFAULT.authorizations),
        client_authorizations: limit("client_authorizations", Limits::DEFAULT.client_authorizations),
        logins: limit("logins", Limits::DEFAULT.logins),
        tokens: limit("tokens", Limits::DEFAULT.tokens),
        client_tokens: limit("client_tokens", Limits::DEFAULT.client_tokens),
        metadata_fetches: limit("metadata_fetches", Limits::DEFAULT.metadata_fetches),
        client_metadata_fetches: limit("client_metadata_fetches", Limits::DEFAULT.client_metadata_fetches),
    };
    section.finish(limits)
}
