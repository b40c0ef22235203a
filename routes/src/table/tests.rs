use super::{EMPTY, Found, Table, fnv, spread};
use crate::{Identity, Route, Target};
use std::time::Duration;

const fn route(pattern: &'static str) -> Route {
    Route {
        pattern,
        target: Target {
            tls: false,
            host: "localhost",
            port: 3000,
            authority: "localhost:3000",
            path: "",
            trailing_slash: false,
        },
        ca_file: None,
        name: "",
        description: "",
        scopes: &["mcp:x"],
        groups: &[],
        identity: Identity::Headers,
        upstream_headers: &[],
        max_body: 1 << 20,
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_mins(1),
        response_idle_timeout: Duration::from_mins(1),
    }
}

fn table<const N: usize>(patterns: impl IntoIterator<Item = &'static str>) -> Table {
    let routes: &'static [Route] = patterns.into_iter().map(route).collect::<Vec<_>>().leak();
    Table::new(routes, Table::slots::<N>(routes).to_vec().leak())
}

const ROUTES: [Route; 4] = [route("/mcp/dice/"), route("/mcp/"), route("/mcp/dice/v2/"), route("/linear/")];
const SLOTS: [u16; Table::size(4)] = Table::slots(&ROUTES);
const TABLE: Table = Table::new(&ROUTES, &SLOTS);

fn found(path: &str) -> Option<(&'static str, &str)> {
    TABLE.find(path).map(|found| (found.route.pattern, &path[found.rest..]))
}

#[test]
fn the_longest_pattern_wins_in_any_order() {
    assert_eq!(found("/mcp/dice/mcp"), Some(("/mcp/dice/", "mcp")));
    assert_eq!(found("/mcp/dice/v2/mcp"), Some(("/mcp/dice/v2/", "mcp")));
    assert_eq!(found("/mcp/dice/v2x/mcp"), Some(("/mcp/dice/", "v2x/mcp")));
    assert_eq!(found("/mcp/other/x"), Some(("/mcp/", "other/x")));
    assert_eq!(found("/linear/"), Some(("/linear/", "")));
}

#[test]
fn the_bare_path_finds_its_route_with_an_empty_rest() {
    assert_eq!(found("/mcp/dice"), Some(("/mcp/dice/", "")));
    assert_eq!(found("/mcp/dice/v2"), Some(("/mcp/dice/v2/", "")));
    assert_eq!(found("/mcp"), Some(("/mcp/", "")));
    assert_eq!(found("/linear"), Some(("/linear/", "")));
}

#[test]
fn a_similar_path_does_not_match() {
    for path in [
        "",
        "/",
        "*",
        "//",
        "/lin",
        "/linearx",
        "/linearx/y",
        "linear/",
        "/Linear/",
        "/auth/token",
        "/healthz",
    ] {
        assert_eq!(found(path), None, "{path}");
    }
}

#[test]
fn paths_are_not_decoded_or_normalized() {
    for path in [
        "/linea%72/x",
        "/%6cinear/x",
        "/./linear/x",
        "//linear/x",
        "/x/../linear/x",
        "/linear%2fx",
        "/linear\\x",
    ] {
        assert_eq!(found(path), None, "{path}");
    }
    assert_eq!(found("/linear/../mcp/"), Some(("/linear/", "../mcp/")));
    assert_eq!(found("/linear//x"), Some(("/linear/", "/x")));
    assert_eq!(found("/linear/ü"), Some(("/linear/", "ü")));
}

#[test]
fn an_empty_table_finds_nothing() {
    let empty = table::<{ Table::size(0) }>([]);
    assert_eq!(empty.find("/mcp/dice/"), None);
    assert_eq!(empty.find(""), None);
}

#[test]
#[should_panic(expected = "two routes have the same pattern")]
fn two_routes_with_one_pattern_are_rejected() {
    table::<{ Table::size(2) }>(["/mcp/", "/mcp/"]);
}

#[test]
#[should_panic(expected = "a pattern starts and ends with a slash")]
fn a_pattern_without_its_slashes_is_rejected() {
    table::<{ Table::size(1) }>(["/mcp"]);
}

/// Linear search with the semantics of [`Table::find`].
fn naive(table: &Table, path: &str) -> Option<Found> {
    let bare = if path.ends_with('/') { String::new() } else { format!("{path}/") };
    let routes = table.routes().iter().enumerate();
    let matching = routes.filter(|(_, route)| path.starts_with(route.pattern) || bare == route.pattern);
    let longest = matching.max_by_key(|(_, route)| route.pattern.len());
    longest.map(|(index, route)| Found { index, route, rest: route.pattern.len().min(path.len()) })
}

/// Deterministic pseudo-random number generator.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn path(&mut self) -> String {
        let segments = ["a", "b", "mcp", "dice", "dice2", "v2", "", ".", "%61"];
        let segments = (0..=self.below(5)).map(|_| segments[self.below(segments.len())]).collect::<Vec<_>>();
        format!("/{}", segments.join("/"))
    }
}

#[test]
fn a_lookup_agrees_with_a_linear_search() {
    const MANY: usize = 300;
    let mut numbers = Numbers(1);
    let mut patterns: Vec<String> = Vec::new();
    while patterns.len() < MANY {
        let pattern = format!("{}/", numbers.path());
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    let table = table::<{ Table::size(MANY) }>(patterns.into_iter().map(|pattern| &*pattern.leak()));
    let mut hits = 0;
    for _ in 0..20_000 {
        let path = numbers.path();
        let expected = naive(&table, &path);
        hits += usize::from(expected.is_some());
        assert_eq!(table.find(&path), expected, "{path}");
    }
    assert!((5_000..20_000).contains(&hits), "{hits} of the paths have a route: they try both ends");
}

#[test]
fn routes_that_collide_in_one_slot_are_all_found() {
    const MANY: usize = 8;
    const SIZE: usize = Table::size(MANY);
    let names = (0..).map(|number| &*format!("/r{number}/").leak());
    let same_slot = names.filter(|name: &&'static str| spread(fnv(name.as_bytes())) & (SIZE - 1) == SIZE - 1);
    let patterns: Vec<&'static str> = same_slot.take(MANY).collect();
    let table = table::<SIZE>(patterns.clone());
    for (index, pattern) in patterns.iter().enumerate() {
        assert_eq!(table.find(pattern).map(|found| found.index), Some(index));
        assert_eq!(table.find(pattern.trim_end_matches('/')).map(|found| found.index), Some(index));
    }
    assert_eq!(table.find("/none/"), None);
}

#[test]
fn probes_stay_short_with_a_thousand_routes() {
    const MANY: usize = 1000;
    let patterns = (0..MANY).map(|number| &*format!("/mcp/server-{number}/").leak());
    let table = table::<{ Table::size(MANY) }>(patterns);
    for (index, route) in table.routes().iter().enumerate() {
        let path = format!("{}mcp", route.pattern);
        assert_eq!(table.find(&path), Some(Found { index, route, rest: route.pattern.len() }));
    }
    let runs = table.slots.split(|slot| *slot == EMPTY).map(<[u16]>::len);
    assert!(runs.max() < Some(32), "the hash spreads: a look-up compares with few patterns");
}
