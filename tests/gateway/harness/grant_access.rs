//! Access to the grants of a world beside its gateway: of Redis at any time, of the embedded store while it is stopped.

use super::{SECRET, World};
use gateway::base::entropy::Entropy;
use gateway::base::secret::{Secret, SecretBytes};
use gateway::credential::{Credentials, RefreshToken};
use gateway::crypto::seal::Keys;
use gateway::grants::Grants;
use gateway::settings::RedisAddress;
use gateway::store::{Format, Store};
use std::sync::Arc;
use std::time::Duration;

/// Grants of a world, and their refresh tokens.
pub(crate) struct GrantAccess {
    pub(crate) grants: Grants,
    pub(crate) credentials: Credentials,
}

impl GrantAccess {
    /// Opens the store of a world.
    pub(crate) fn open(world: &World) -> Self {
        let (clock, entropy) = (world.clock.clone(), Entropy::system());
        let keys = Keys::new(vec![SecretBytes::new(base16ct::mixed::decode_vec(SECRET).unwrap())]);
        let store = match &world.redis {
            Some(redis) => {
                let address = RedisAddress::parse(&redis.address(), None).unwrap();
                Store::redis(address, clock.clone(), entropy.clone(), Format::default()).unwrap()
            }
            None => Store::embedded(&world.data_dir(), clock.clone(), &entropy, Format::default()).unwrap(),
        };
        let grants = Grants::new(Arc::new(store), &keys, clock.clone(), entropy.clone());
        let access_ttl = Duration::from_mins(10);
        Self { grants, credentials: Credentials::new(&keys, &world.base_url, access_ttl, clock, entropy) }
    }

    /// Opens a refresh token of the gateway.
    pub(crate) fn open_token(&self, token: &str) -> RefreshToken {
        self.credentials.open_refresh_token(&Secret::new(token)).unwrap()
    }
}
