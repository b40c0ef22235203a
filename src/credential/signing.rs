//! Signing keys, derived from `GATEWAY_SECRET` and a 30-day period, so that all replicas have the same ones without a
//! store.

use crate::base::clock::Timestamp;
use crate::crypto::jose::{KeySet, SigningKey};
use crate::crypto::seal::{Keys, Purpose};
use parking_lot::Mutex;
use std::sync::Arc;

const PERIOD_SECONDS: u64 = 30 * 24 * 60 * 60;

/// Signing keys of the current period, and verification keys of the previous, current and next one.
pub(super) struct SigningKeys {
    keys: Keys,
    current: Mutex<Option<Arc<Period>>>,
}

/// Keys of one period.
pub(super) struct Period {
    number: u64,
    /// Signing key: that of this period and the first secret.
    pub(super) signing: SigningKey,
    /// Verification keys: those of three periods and all secrets.
    pub(super) verifying: KeySet,
    /// Public keys as JWKs, for the JWKS.
    pub(super) jwks: Vec<serde_json::Value>,
}

impl SigningKeys {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, current: Mutex::new(None) }
    }

    /// Returns the keys of the period that contains `now`; derives them once a period.
    pub(super) fn at(&self, now: Timestamp) -> Arc<Period> {
        let number = now.seconds() / PERIOD_SECONDS;
        let mut current = self.current.lock();
        match &*current {
            Some(period) if period.number == number => Arc::clone(period),
            _ => Arc::clone(current.insert(Arc::new(self.derive(number)))),
        }
    }

    fn derive(&self, number: u64) -> Period {
        let of = |period: u64| self.keys.derive(Purpose::AccessTokenSigning(period));
        let current: Vec<SigningKey> = of(number).iter().map(|seed| SigningKey::from_seed(seed)).collect();
        let others = [number.saturating_sub(1), number + 1].map(of);
        let others = others.iter().flatten().map(|seed| SigningKey::from_seed(seed));
        let all: Vec<SigningKey> = current.iter().cloned().chain(others).collect();
        Period {
            number,
            signing: current[0].clone(),
            verifying: KeySet::of(&all),
            jwks: all.iter().map(SigningKey::public_jwk).collect(),
        }
    }
}
