//! Public keys (JWK) that clients publish, before they are stored.

use super::keys::PublicKey;
use serde_json::{Map, Value};

/// Members of a JWK that verification needs.
const PUBLIC_MEMBERS: [&str; 9] = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];
/// Private members of a JWK (RFC 7518 §6), and the member of symmetric keys.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Returns the members of a key that verification needs; `None` when the key is unusable.
pub fn verifying_part(key: &Value) -> Option<Value> {
    PublicKey::parse(key)?;
    let member = |name: &&str| Some(((*name).to_owned(), key.get(name)?.clone()));
    Some(Value::Object(PUBLIC_MEMBERS.iter().filter_map(member).collect::<Map<_, _>>()))
}

/// Returns whether the JWK contains a private or symmetric key.
pub fn has_private_part(key: &Value) -> bool {
    PRIVATE_MEMBERS.iter().any(|name| key.get(name).is_some())
}
