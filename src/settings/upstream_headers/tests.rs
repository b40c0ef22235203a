use crate::settings::tests::SITE;
use crate::settings::{Environment, Settings};
use gateway_routes::{Identity, Route, Site, Table, Target, UpstreamHeader, ValuePart, is_reserved_variable};
use std::time::Duration;

const ROUTE: Route = Route {
    pattern: "/mcp/notion/",
    target: Target { tls: false, host: "h", port: 1, authority: "h:1", path: "", trailing_slash: false },
    ca_file: None,
    name: "n",
    description: "",
    scopes: &["mcp:n"],
    groups: &[],
    identity: Identity::None,
    upstream_headers: &[
        UpstreamHeader {
            name: "Authorization",
            value: &[ValuePart::Text("Bearer "), ValuePart::Variable("NOTION_TOKEN")],
        },
        UpstreamHeader { name: "Notion-Version", value: &[ValuePart::Text("2022-06-28")] },
    ],
    max_body: 0,
    connect_timeout: Duration::ZERO,
    response_timeout: Duration::ZERO,
    response_idle_timeout: Duration::ZERO,
};
const ROUTES: [Route; 2] = [
    ROUTE,
    Route {
        pattern: "/mcp/wiki/",
        upstream_headers: &[
            UpstreamHeader {
                name: "X-Api-Key",
                value: &[ValuePart::Variable("WIKI_USER"), ValuePart::Variable("NOTION_TOKEN")],
            },
            UpstreamHeader { name: "X-Wiki-Key", value: &[ValuePart::Variable("WIKI_KEY")] },
        ],
        ..ROUTE
    },
];
static SLOTS: [u16; Table::size(2)] = Table::slots(&ROUTES);
static WITH_HEADERS: Site = Site { table: Table::new(&ROUTES, &SLOTS), ..SITE };

fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
    let okta =
        [("OKTA_URL", "https://acme.okta.com"), ("OKTA_CLIENT_ID", "0oa1"), ("OKTA_CLIENT_SECRET", "s")];
    let environment = Environment::of(okta.iter().chain(variables).copied());
    Settings::read(&environment, &WITH_HEADERS).map_err(|problems| problems.to_string())
}

#[test]
fn header_values_come_from_variables_and_from_files_and_are_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "hunter2\n").unwrap();
    let file = ("NOTION_TOKEN_FILE", file.to_str().unwrap());
    for token in [("NOTION_TOKEN", "hunter2"), file] {
        let settings = read(&[token, ("WIKI_USER", "eve"), ("WIKI_KEY", "hunter3")]).unwrap();
        let fields = |pattern| settings.upstream_headers[pattern].expose();
        assert_eq!(fields("/mcp/notion/"), "Authorization: Bearer hunter2\r\nNotion-Version: 2022-06-28\r\n");
        assert_eq!(fields("/mcp/wiki/"), "X-Api-Key: evehunter2\r\nX-Wiki-Key: hunter3\r\n");
        assert!(!format!("{settings:?}").contains("hunter"));
    }
}

#[test]
fn missing_and_invalid_variables_are_reported_together_with_all_other_problems() {
    let problems = read(&[
        ("PORT", "none"),
        ("WIKI_USER", "hunter2\r\nX-Evil: 1"),
        ("WIKI_KEY", ""),
        ("WIKI_KEY_FILE", "/nonexistent"),
    ]);
    let problems = problems.unwrap_err();
    for expected in [
        "PORT is not a number",
        "NOTION_TOKEN is not set: give it, or the path of its file in NOTION_TOKEN_FILE (upstream_headers: \
         Authorization of route /mcp/notion/, X-Api-Key of route /mcp/wiki/)",
        "WIKI_USER cannot be part of a header: give visible ASCII characters on one line, without white space \
         around them (upstream_headers: X-Api-Key of route /mcp/wiki/)",
        "WIKI_KEY_FILE: the file it names cannot be read: check its path and its mode: caused by No such file or \
         directory (os error 2) (upstream_headers: X-Wiki-Key of route /mcp/wiki/)",
    ] {
        assert!(problems.contains(&format!("  - {expected}")), "{expected} is missing in {problems}");
    }
    assert_eq!(problems.matches("  - ").count(), 4, "{problems}");
    assert!(!problems.contains("hunter"), "{problems}");
}

#[test]
fn a_value_that_no_header_can_have_is_rejected() {
    let long = "x".repeat(9000);
    for value in [" hunter2", "hunter2\t", "hunter2\n", "hun\0ter2", "h\u{fc}nter2", &long] {
        let problems = read(&[("NOTION_TOKEN", value), ("WIKI_USER", "a"), ("WIKI_KEY", "a")]).unwrap_err();
        assert!(problems.contains("upstream_headers"), "{problems}");
        assert!(!problems.contains(value.trim()), "{problems}");
    }
}

#[test]
fn no_variable_of_the_gateway_can_be_part_of_a_header() {
    for name in crate::settings::environment::NAMES {
        assert!(is_reserved_variable(name), "{name}");
    }
    for name in ["OAUTH_OKTA_CLIENT_SECRET", "OKTA_CLIENT_PRIVATE_KEY", "GATEWAY_CONFIG", "RUST_LOG"] {
        assert!(is_reserved_variable(name), "{name}");
    }
    assert!(!is_reserved_variable("NOTION_TOKEN"));
}
