//! Uses of authorization codes whose caller has not been told the result. A use whose caller got an error, because the
//! write failed or took too long, may take effect all the same. It must not count: the code still works, once.

use super::Embedded;
use super::tables::Kind;
use super::writer::Durable;
use crate::store::{CodeUse, Key, Unavailable};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most remembered uses; the oldest is forgotten first.
const MAX_USES: usize = 1024;

/// Use of a code by one caller; clones are the same use.
#[derive(Clone, Default)]
struct Use(Arc<AtomicBool>);

impl Use {
    /// Notes that the caller got an error.
    fn fail(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The last use of each code that was marked as used.
#[derive(Default)]
pub(super) struct CodeUses(Mutex<VecDeque<(Key, Use)>>);

impl CodeUses {
    /// Notes the use that marks a code.
    fn begin(&self, code: Key, current: &Use) {
        let mut uses = self.0.lock();
        uses.retain(|(used, _)| *used != code);
        if uses.len() == MAX_USES {
            uses.pop_front();
        }
        uses.push_back((code, current.clone()));
    }

    /// Returns whether the caller of the use that marked a code got an error.
    fn has_failed(&self, code: Key) -> bool {
        let uses = self.0.lock();
        uses.iter().any(|(used, last)| *used == code && last.0.load(Ordering::SeqCst))
    }

    /// Forgets a use whose caller got its result.
    fn end(&self, current: &Use) {
        self.0.lock().retain(|(_, last)| !Arc::ptr_eq(&last.0, &current.0));
    }
}

impl Embedded {
    pub(in crate::store) async fn use_code(&self, key: Key) -> Result<Option<CodeUse>, Unavailable> {
        let (code_uses, current) = (Arc::clone(&self.code_uses), Use::default());
        let this = current.clone();
        let result = self.writer.write(Durable::Yes, move |tables| {
            let Some((expires_at, mut value)) = tables.get(Kind::Code, &key.0)? else { return Ok(None) };
            let Some(mark) = value.first_mut() else { return Ok(None) };
            if *mark == 1 && !code_uses.has_failed(key) {
                return Ok(Some(CodeUse::Again));
            }
            *mark = 1;
            code_uses.begin(key, &this);
            tables.put(Kind::Code, &key.0, expires_at, &value)?;
            Ok(Some(CodeUse::First))
        });
        let result = result.await.inspect_err(|_| current.fail())?;
        self.code_uses.end(&current);
        Ok(result)
    }
}

#[cfg(test)]
mod tests;
