//! The signing keys, derived from `GATEWAY_SECRET` and a 30-day period: all replicas have them without the
//! store, and no flush loses them.

use crate::base::clock::Timestamp;
use crate::crypto::jose::{KeySet, SigningKey};
use crate::crypto::seal::{Keys, Purpose};
use std::sync::{Arc, Mutex, PoisonError};

const PERIOD_SECONDS: u64 = 30 * 24 * 60 * 60;

/// The keys of the last, this and the next period of every secret.
pub(super) struct SigningKeys {
    keys: Keys,
    current: Mutex<Option<Arc<Period>>>,
}

/// What is signed and verified with in one period.
pub(super) struct Period {
    number: u64,
    /// Of this period and the first secret.
    pub(super) signing: SigningKey,
    /// Of all that still or already counts.
    pub(super) verifying: KeySet,
    /// The public halves, as they stand in the JWKS.
    pub(super) jwks: Vec<serde_json::Value>,
}

impl SigningKeys {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, current: Mutex::new(None) }
    }

    /// The period of this moment; derived once a period.
    pub(super) fn at(&self, now: Timestamp) -> Arc<Period> {
        let number = now.seconds() / PERIOD_SECONDS;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(period) if period.number == number => Arc::clone(period),
            _ => Arc::clone(current.insert(Arc::new(self.derive(number)))),
        }
    }

    fn derive(&self, number: u64) -> Period {
        let of = |period: u64| self.keys.derive(Purpose::AccessTokenSigning(period));
        let this: Vec<SigningKey> = of(number).iter().map(|seed| SigningKey::from_seed(seed)).collect();
        let others = [number.saturating_sub(1), number + 1].map(of);
        let others = others.iter().flatten().map(|seed| SigningKey::from_seed(seed));
        let all: Vec<SigningKey> = this.iter().cloned().chain(others).collect();
        Period {
            number,
            signing: this[0].clone(),
            verifying: KeySet::of(&all),
            jwks: all.iter().map(SigningKey::public_jwk).collect(),
        }
    }
}
