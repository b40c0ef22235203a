//! Section `limits:`: connection limits, and rate limits of addresses and clients in requests per minute.

use super::super::problem::{ReadResult, ValueError};
use super::super::section::{Section, SectionKeys};
use super::super::tree::Node;
use super::super::value::{connections, per_minute};
use crate::Limits;

pub(super) const KEYS: SectionKeys = SectionKeys {
    description: "the section",
    known: &[
        "connections",
        "connections_per_address",
        "registrations",
        "authorizations",
        "client_authorizations",
        "consents",
        "logins",
        "tokens",
        "client_tokens",
        "grant_tokens",
        "metadata_fetches",
        "client_metadata_fetches",
    ],
    unsupported: &[],
    misplaced: &[],
};

/// By default one address may use this fraction (1/n) of all connections.
const DEFAULT_ADDRESS_SHARE: u32 = 4;

pub(super) fn limits(node: &Node) -> ReadResult<Limits> {
    let mut section = Section::open(node, &KEYS)?;
    let all = section.optional("connections", connections).unwrap_or(Limits::DEFAULT.connections);
    let of_address = section.optional("connections_per_address", |node| at_most(all, node));
    let mut limit = |key, default| section.optional(key, per_minute).unwrap_or(default);
    let limits = Limits {
        connections: all,
        connections_per_address: of_address.unwrap_or(all.div_ceil(DEFAULT_ADDRESS_SHARE)),
        registrations: limit("registrations", Limits::DEFAULT.registrations),
        authorizations: limit("authorizations", Limits::DEFAULT.authorizations),
        client_authorizations: limit("client_authorizations", Limits::DEFAULT.client_authorizations),
        consents: limit("consents", Limits::DEFAULT.consents),
        logins: limit("logins", Limits::DEFAULT.logins),
        tokens: limit("tokens", Limits::DEFAULT.tokens),
        client_tokens: limit("client_tokens", Limits::DEFAULT.client_tokens),
        grant_tokens: limit("grant_tokens", Limits::DEFAULT.grant_tokens),
        metadata_fetches: limit("metadata_fetches", Limits::DEFAULT.metadata_fetches),
        client_metadata_fetches: limit("client_metadata_fetches", Limits::DEFAULT.client_metadata_fetches),
    };
    section.finish(limits)
}

/// Reads a number of connections of one address, which may not exceed the total.
fn at_most(all: u32, node: &Node) -> ReadResult<u32> {
    let number = connections(node)?;
    if number <= all {
        return Ok(number);
    }
    let message = format!("{number} is more than all connections together, {all}");
    Err(vec![ValueError::new(message, "write a smaller number, or raise `limits.connections`").at(node.line)])
}
