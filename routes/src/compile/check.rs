//! What no file shows alone.

use super::definition::Draft;
use super::problem::{Fault, Wrong, quoted};
use super::source::Source;
use std::collections::HashMap;

/// With twice as many, the slots are more work than rustc does for a constant without a warning.
const MAX_ROUTES: usize = 2_048;

/// A fault and the place of its file among the sources.
pub(super) type Placed = (usize, Fault);

/// Checks the routes of all files against each other.
pub(super) fn check(sources: &[Source], drafts: &[(usize, Draft)]) -> Vec<Placed> {
    if drafts.is_empty() {
        let none = Wrong::new(
            "there are no routes",
            "add an entry to `proxies:`, or `include: [\"routes/*.yaml\"]`",
        );
        return vec![(0, none.at(1))];
    }
    if drafts.len() > MAX_ROUTES {
        let wrong = format!("there are {} routes", drafts.len());
        return vec![(0, Wrong::new(wrong, format!("build gateways of at most {MAX_ROUTES} each")).at(1))];
    }
    duplicates(sources, drafts)
}

fn duplicates(sources: &[Source], drafts: &[(usize, Draft)]) -> Vec<Placed> {
    let mut taken: HashMap<&str, (usize, usize)> = HashMap::new();
    let mut faults = Vec::new();
    for (file, draft) in drafts {
        let Some((line, pattern)) = draft.pattern else { continue };
        if let Some((owner, owned_at)) = taken.get(pattern) {
            let owner = format!("{}:{owned_at}", sources[*owner].name);
            let wrong = format!("{} is taken by {owner}", quoted(pattern));
            faults.push((*file, Wrong::new(wrong, "choose another pattern").at(line).under("pattern")));
        } else {
            taken.insert(pattern, (*file, line));
        }
    }
    faults
}
