//! Definitions of sites and routes, read into the types of the server.

mod client_metadata;
mod egress_proxy;
mod glob;
mod limits;
mod registration;
mod route;
mod shutdown;
mod site;

pub(super) use glob::Glob;
pub(super) use route::{PartialRoute, route};
pub(super) use site::{Definition, site};

#[cfg(test)]
mod tests {
    use super::{client_metadata, egress_proxy, limits, registration, route, shutdown, site};
    use crate::RESERVED;

    const README: &str = include_str!("../../README.md");

    #[test]
    fn the_readme_has_a_row_for_every_key_and_no_other() {
        let sections = [
            ("", &route::KEYS),
            ("", &site::SITE),
            ("okta.", &site::OKTA),
            ("tokens.", &site::TOKENS),
            ("registration.", &registration::KEYS),
            ("client_metadata.", &client_metadata::KEYS),
            ("egress_proxy.", &egress_proxy::KEYS),
            ("limits.", &limits::KEYS),
            ("shutdown.", &shutdown::KEYS),
        ];
        let whole =
            ["okta", "tokens", "registration", "client_metadata", "egress_proxy", "limits", "shutdown"];
        let keys = sections
            .iter()
            .flat_map(|(section, keys)| keys.known.iter().map(move |key| format!("{section}{key}")));
        let mut keys: Vec<_> = keys.filter(|key| !whole.contains(&key.as_str())).collect();
        let mut rows: Vec<_> = README
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(key, _)| key)
            .collect();
        keys.sort();
        rows.sort_unstable();
        assert_eq!(rows, keys);
    }

    #[test]
    fn the_readme_names_the_gateways_own_paths() {
        for path in RESERVED {
            let path = if *path == "/" { path } else { path.trim_end_matches('/') };
            assert!(README.contains(&format!("`{path}`")), "{path}");
        }
    }
}
