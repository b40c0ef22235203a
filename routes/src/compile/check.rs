//! Checks across files.

use super::definition::PartialRoute;
use super::problem::{LineError, ValueError, quoted};
use super::source::Source;
use std::collections::HashMap;

/// Most routes of a site. For twice as many, rustc warns about the evaluation time of the hash table.
const MAX_ROUTES: usize = 2_048;

/// Error with the index of its source file.
pub(super) type FileError = (usize, LineError);

/// Checks that there are routes, not too many, and no duplicate patterns.
pub(super) fn check(sources: &[Source], routes: &[(usize, PartialRoute)]) -> Vec<FileError> {
    if routes.is_empty() {
        let missing = ValueError::new(
            "there are no routes",
            "add an entry to `proxies:`, or `include: [\"routes/*.yaml\"]`",
        );
        return vec![(0, missing.at(1))];
    }
    if routes.len() > MAX_ROUTES {
        let message = format!("there are {} routes", routes.len());
        return vec![(
            0,
            ValueError::new(message, format!("build gateways of at most {MAX_ROUTES} each")).at(1),
        )];
    }
    duplicates(sources, routes)
}

fn duplicates(sources: &[Source], routes: &[(usize, PartialRoute)]) -> Vec<FileError> {
    let mut taken: HashMap<&str, (usize, usize)> = HashMap::new();
    let mut errors = Vec::new();
    for (file, route) in routes {
        let Some((line, pattern)) = route.pattern else { continue };
        if let Some((owner, owned_at)) = taken.get(pattern) {
            let owner = format!("{}:{owned_at}", sources[*owner].name);
            let message = format!("{} is taken by {owner}", quoted(pattern));
            errors
                .push((*file, ValueError::new(message, "choose another pattern").at(line).under("pattern")));
        } else {
            taken.insert(pattern, (*file, line));
        }
    }
    errors
}
