//! Keys that others hand over, before they are kept.

use super::keys::PublicKey;
use serde_json::{Map, Value};

/// What a key is verified with, and what it is for.
const NEEDED: [&str; 9] = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];
/// What only its owner may know (RFC 7518 §6), and symmetric keys altogether.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The members of a key that verifying needs; `None` when it is no key that can verify here.
pub fn verifying_part(key: &Value) -> Option<Value> {
    PublicKey::parse(key)?;
    let member = |name: &&str| Some(((*name).to_owned(), key.get(name)?.clone()));
    Some(Value::Object(NEEDED.iter().filter_map(member).collect::<Map<_, _>>()))
}

/// Whether the key has a part that was not to be shown to anybody.
pub fn has_private_part(key: &Value) -> bool {
    PRIVATE.iter().any(|name| key.get(name).is_some())
}
