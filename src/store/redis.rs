//! temp
use super::{
    Clock, Cursor, Feed, GrantId, GrantRecord, Key, OpenError, Owner, Rotate, Rotation, TakenCode, Timestamp,
    Unavailable,
};
use crate::secret::Secret;
/// temp
pub struct RedisConfig {
    /// a
    pub address: String,
    /// b
    pub password: Option<Secret>,
}
/// temp
pub struct RedisStore;
macro_rules! no { ($($v:ident($($n:ident: $t:ty),*) -> $r:ty;)*) => { impl RedisStore { $(pub(super) async fn $v(&self, $($n: $t),*) -> Result<$r, Unavailable> { $(let _ = $n;)* Err(Unavailable("no".into())) })* pub(super) fn open(_: RedisConfig, _: Clock) -> Result<Self, OpenError> { Ok(Self) } } } }
no! {
    put_login(key: Key, sealed: Vec<u8>, expires_at: Timestamp) -> ();
    take_login(key: Key) -> Option<Vec<u8>>;
    put_code(key: Key, sealed: Vec<u8>, expires_at: Timestamp) -> ();
    take_code(key: Key) -> Option<TakenCode>;
    create_grant(record: GrantRecord) -> bool;
    grant(id: GrantId) -> Option<GrantRecord>;
    rotate(id: GrantId, rotate: Rotate) -> Rotation;
    replace_sealed(id: GrantId, old: &[u8], new: Vec<u8>) -> bool;
    revoke(id: GrantId) -> bool;
    revoked_since(cursor: Cursor) -> Feed;
    grants_of(owner: Owner, key: Key, limit: usize) -> Vec<GrantId>;
    use_once(key: Key, expires_at: Timestamp) -> bool;
    count(key: Key, window_ends: Timestamp) -> u64;
    lease(key: Key, holder: Key, expires_at: Timestamp) -> bool;
    release(key: Key, holder: Key) -> ();
    ping() -> ();
}
