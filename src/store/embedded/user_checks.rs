//! Checks of users at Okta.

use super::tables::Kind;
use super::writer::Durable;
use super::{Embedded, reads};
use crate::base::clock::Timestamp;
use crate::store::{Key, Unavailable};

impl Embedded {
    #[expect(clippy::unused_async, reason = "a read takes a microsecond; the verb is async in every backend")]
    pub(in crate::store) async fn user_check(&self, key: Key) -> Result<Option<Vec<u8>>, Unavailable> {
        let now = self.clock.now();
        let found = self.database.read(|file| reads::read(file, Kind::UserCheck, &key.0, now))?;
        Ok(found.map(|(_, value)| value))
    }

    pub(in crate::store) async fn replace_user_check(
        &self,
        key: Key,
        old: Option<Vec<u8>>,
        new: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        self.writer
            .write(Durable::No, move |tables| {
                let is_same = tables.get(Kind::UserCheck, &key.0)?.map(|(_, value)| value) == old;
                if is_same {
                    tables.put(Kind::UserCheck, &key.0, expires_at, &new)?;
                }
                Ok(is_same)
            })
            .await
    }
}
