//! The format of what is stored, which lets one release follow another on the same store, and go back.
//!
//! Each record begins with the number of its format. A release reads several formats and writes the one that the
//! store says it has: 1. a new release reads what the old one wrote, and goes on to write what the old one reads;
//! 2. when all replicas are new, the operator switches its own format on, and the store says so from then on;
//! 3. an older release that finds a store or a record of a format that it does not know refuses it: taken for
//!    absent, it would log people out. Members that are added within a format are ignored by those who do not know
//!    them.

use super::{OpenError, Unavailable};

/// The formats that a release knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats {
    /// The oldest that it reads.
    pub oldest: u8,
    /// What it makes of an empty store: the release before it reads this too.
    pub usual: u8,
    /// The newest that it reads. It is written once the operator has said so.
    pub newest: u8,
}

impl Formats {
    /// Those of this release.
    pub const THIS: Self = Self { oldest: 1, usual: 1, newest: 1 };
}

impl Default for Formats {
    fn default() -> Self {
        Self::THIS
    }
}

/// What a release reads and writes in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub(super) known: Formats,
    /// `STORE_FORMAT`: the store has at least this one from now on.
    pub(super) wanted: Option<u8>,
    /// The usual one, until the store has said what it has.
    pub(super) writes: u8,
}

impl Default for Format {
    fn default() -> Self {
        Self { known: Formats::THIS, wanted: None, writes: Formats::THIS.usual }
    }
}

impl Format {
    /// With `STORE_FORMAT`.
    ///
    /// # Errors
    /// This release does not know that format.
    pub fn new(known: Formats, wanted: Option<u8>) -> Result<Self, OpenError> {
        let Formats { oldest, newest, .. } = known;
        match wanted {
            Some(wanted) if !(oldest..=newest).contains(&wanted) => Err(OpenError(format!(
                "STORE_FORMAT is {wanted}, and this release knows the formats {oldest} to {newest}: unset it, or run \
                 a release that knows {wanted}"
            ))),
            _ => Ok(Self { known, wanted, writes: known.usual }),
        }
    }

    /// With a store that says that it has `found`: it has from now on what is written.
    pub(super) fn agreed(self, found: Option<u8>) -> Result<Self, String> {
        let Formats { oldest, usual, newest } = self.known;
        let found = found.unwrap_or(usual);
        if found > newest {
            return Err(format!(
                "the store has format {found}, and this release reads up to {newest}: run the release that switched \
                 it on (STORE_FORMAT={found}) or a newer one, or go back to a copy from before"
            ));
        }
        if found < oldest {
            return Err(format!(
                "the store has format {found}, and this release reads from {oldest} on: run the release before it \
                 with STORE_FORMAT={oldest} first"
            ));
        }
        Ok(Self { writes: self.wanted.map_or(found, |wanted| wanted.max(found)), ..self })
    }

    /// Whether records of this format can be read.
    ///
    /// # Errors
    /// They cannot, which says nothing of what is in them.
    pub(super) fn reads(self, format: u8) -> Result<(), Unavailable> {
        let Formats { oldest, newest, .. } = self.known;
        if (oldest..=newest).contains(&format) {
            return Ok(());
        }
        Err(Unavailable(format!(
            "a record has format {format}, and this release reads {oldest} to {newest}: another release wrote it"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: Formats = Formats { oldest: 1, usual: 1, newest: 2 };

    #[test]
    fn a_release_writes_what_the_store_has_until_the_operator_wants_more() {
        let writes = |wanted, found| Format::new(NEXT, wanted).unwrap().agreed(found).unwrap().writes;
        assert_eq!((writes(None, None), writes(None, Some(1))), (1, 1));
        assert_eq!((writes(Some(2), None), writes(Some(2), Some(1))), (2, 2));
        assert_eq!((writes(None, Some(2)), writes(Some(1), Some(2))), (2, 2), "no switch is undone");
    }

    #[test]
    fn a_store_that_a_release_cannot_read_is_refused_with_what_to_do() {
        let newer = Format::default().agreed(Some(2)).unwrap_err();
        assert!(
            newer.contains("reads up to 1: run the release that switched it on (STORE_FORMAT=2)"),
            "{newer}"
        );
        let later = Format::new(Formats { oldest: 2, usual: 2, newest: 3 }, None).unwrap();
        let older = later.agreed(Some(1)).unwrap_err();
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
