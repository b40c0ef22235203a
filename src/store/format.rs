//! Versioned format of stored records, which permits upgrades and downgrades on the same store.
//!
//! Each record begins with the number of its format. A release reads several formats, and writes the one that is
//! recorded in the store:
//!
//! 1. A new release reads the records of the old one, and keeps writing the format that the old one reads.
//! 2. When all replicas run the new release, the operator switches its format on, which is recorded in the store.
//! 3. A release rejects a store or a record whose format it does not know: treating it as absent would log users out.
//!
//! Members that are added within a format are ignored by releases that do not know them.

use super::{OpenError, RecordFormat, StoreFormat};

/// Formats that a release knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats {
    /// Oldest format that it reads.
    pub oldest: u8,
    /// Default format of a new store: the previous release reads it too.
    pub default: u8,
    /// Newest format that it reads. It is written once the operator switches it on.
    pub newest: u8,
}

impl Formats {
    /// Formats of this release.
    pub const THIS: Self = Self { oldest: 1, default: 1, newest: 1 };
}

impl Default for Formats {
    fn default() -> Self {
        Self::THIS
    }
}

/// Formats that a release reads, and the one that it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub(super) known: Formats,
    /// `STORE_FORMAT`: the least format of the store from now on.
    pub(super) wanted: Option<u8>,
    /// Format that is written: the default one, until the store's own has been read.
    pub(super) writes: u8,
}

impl Default for Format {
    fn default() -> Self {
        Self { known: Formats::THIS, wanted: None, writes: Formats::THIS.default }
    }
}

impl Format {
    /// Formats with the value of `STORE_FORMAT`.
    ///
    /// # Errors
    /// This release does not know that format.
    pub fn new(known: Formats, wanted: Option<u8>) -> Result<Self, OpenError> {
        let Formats { oldest, newest, .. } = known;
        match wanted {
            Some(wanted) if !(oldest..=newest).contains(&wanted) => {
                Err(OpenError::UnknownFormat { wanted, oldest, newest })
            }
            _ => Ok(Self { known, wanted, writes: known.default }),
        }
    }

    /// Decides the format to write, given the one `found` in the store.
    ///
    /// # Errors
    /// This release cannot read the store; says what the operator can do.
    pub(super) fn negotiate(self, found: Option<u8>) -> Result<Self, StoreFormat> {
        let Formats { oldest, default, newest } = self.known;
        let found = found.unwrap_or(default);
        if found > newest {
            return Err(StoreFormat::TooNew { found, newest });
        }
        if found < oldest {
            return Err(StoreFormat::TooOld { found, oldest });
        }
        Ok(Self { writes: self.wanted.map_or(found, |wanted| wanted.max(found)), ..self })
    }

    /// Checks that records of this format can be read.
    ///
    /// # Errors
    /// They cannot, so that their content is not known.
    pub(super) fn reads(self, format: u8) -> Result<(), RecordFormat> {
        let Formats { oldest, newest, .. } = self.known;
        if (oldest..=newest).contains(&format) {
            return Ok(());
        }
        Err(RecordFormat { found: format, oldest, newest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: Formats = Formats { oldest: 1, default: 1, newest: 2 };

    #[test]
    fn a_release_writes_the_format_of_the_store_until_the_operator_raises_it() {
        let writes = |wanted, found| Format::new(NEXT, wanted).unwrap().negotiate(found).unwrap().writes;
        assert_eq!((writes(None, None), writes(None, Some(1))), (1, 1));
        assert_eq!((writes(Some(2), None), writes(Some(2), Some(1))), (2, 2));
        assert_eq!((writes(None, Some(2)), writes(Some(1), Some(2))), (2, 2), "no switch is undone");
    }

    #[test]
    fn an_unreadable_store_is_rejected_with_a_remedy() {
        let newer = Format::default().negotiate(Some(2)).unwrap_err().to_string();
        assert!(
            newer.contains("reads up to 1: run the release that switched it on (STORE_FORMAT=2)"),
            "{newer}"
        );
        let later = Format::new(Formats { oldest: 2, default: 2, newest: 3 }, None).unwrap();
        let older = later.negotiate(Some(1)).unwrap_err().to_string();
        assert!(older.contains("run the release before it with STORE_FORMAT=2 first"), "{older}");
    }

    #[test]
    fn a_format_that_this_release_does_not_know_cannot_be_switched_on() {
        for unknown in [0, 3] {
            let refused = Format::new(NEXT, Some(unknown)).unwrap_err().to_string();
            assert!(refused.contains("knows the formats 1 to 2"), "{refused}");
        }
    }
}
