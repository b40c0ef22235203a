//! The promises of the store's verbs, each held against both backends: a file on a disk and a Redis server.

mod access;
mod damage;
mod encrypted;
mod failover;
mod grants;
mod kept;
mod model;
mod outage;
mod pace;
mod previous;
mod repeats;
mod single_use;
mod skew;

use gateway::store::{GrantId, Key};

fn key(fill: u8) -> Key {
    Key([fill; 32])
}

fn id(fill: u8) -> GrantId {
    GrantId([fill; 16])
}
