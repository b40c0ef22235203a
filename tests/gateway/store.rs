//! Guarantees of the store's operations, tested on both backends: a file and a Redis server.

mod access;
mod clock_skew;
mod code_retries;
mod credentials;
mod failover;
mod file_damage;
mod fixture;
mod grants;
mod latency;
mod model;
mod outage;
mod previous_release;
mod repeated_commands;
mod single_use;
mod tls;
mod user_checks;

use gateway::store::{GrantId, IndexEntry, IndexKind, Key};

fn user_entry(key: Key) -> IndexEntry {
    IndexEntry { kind: IndexKind::User, key }
}

fn key(fill: u8) -> Key {
    Key([fill; 32])
}

fn id(fill: u8) -> GrantId {
    GrantId([fill; 16])
}
