//! Limits on the groups of a user. A profile that loses groups is logged.

use super::Profile;
use crate::base::clock::Clock;
use crate::base::group_list::ListSize;
use crate::base::throttle::Throttle;
use std::collections::BTreeSet;

/// Groups that are kept of a user, besides those that routes name.
const MAX_GROUPS: usize = 500;

/// Limits of the groups of users, with a throttled log line about users who have more.
pub(super) struct GroupLimit {
    clock: Clock,
    throttle: Throttle,
}

impl GroupLimit {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, throttle: Throttle::default() }
    }

    /// Keeps the groups that routes name, and the others as long as they are few and fit into `X-Forwarded-Groups`.
    pub(super) fn apply(&self, profile: Profile, user: &str, named: &BTreeSet<&'static str>) -> Profile {
        let total = profile.groups.len();
        let groups = limited(profile.groups, named);
        let kept = groups.len();
        let now = self.clock.now().seconds();
        if kept < total && (self.throttle.is_first(now) || self.throttle.take_count(now).is_some()) {
            tracing::warn!(
                user,
                groups = total,
                kept,
                "a user is in more groups than are kept, of which those that routes name come first: give the groups \
                 claim at Okta a filter"
            );
        }
        Profile { groups, ..profile }
    }
}

fn limited(groups: Vec<String>, named: &BTreeSet<&'static str>) -> Vec<String> {
    let is_named = |group: &String| named.contains(group.as_str());
    let (mut kept, others): (Vec<String>, Vec<String>) = groups.into_iter().partition(is_named);
    let mut size = ListSize::default();
    for group in &kept {
        size.add(group);
    }
    let fitting = others.into_iter().filter(|group| size.add(group)).take(MAX_GROUPS);
    kept.extend(fitting);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::group_list::{MAX_LIST_BYTES, join};

    #[test]
    fn groups_that_routes_name_are_kept_and_the_rest_fits_into_the_header() {
        let named = BTreeSet::from(["Engineering", "Admins"]);
        for length in [8, 20, 255] {
            let mut groups: Vec<String> = (0..6000).map(|n| format!("{n:0>length$}")).collect();
            groups[5550] = "Engineering".into();
            let kept = limited(groups, &named);
            assert_eq!(kept[0], "Engineering", "{length}");
            assert!(kept.len() <= MAX_GROUPS + 1 && join(&kept).len() <= MAX_LIST_BYTES, "{length}");
            assert!(
                join(&kept).split(',').count() == kept.len(),
                "{length}: the header has all that are kept"
            );
        }
    }

    #[test]
    fn few_groups_are_all_kept() {
        let groups: Vec<String> = (0..300).map(|n| format!("group {n}")).collect();
        assert_eq!(limited(groups.clone(), &BTreeSet::new()), groups);
    }
}
