use super::*;
use crate::proxy::test_route::TEST_ROUTE;
use gateway_routes::Target;

const BASE_URL: &str = "https://mcp.example.com";

fn route(tls: bool, authority: &'static str, path: &'static str) -> Route {
    let target = Target { tls, authority, path, ..TEST_ROUTE.target };
    Route { target, ..TEST_ROUTE }
}

fn rewrite(route: &Route, location: &str) -> Option<String> {
    let location = rewritten(location.as_bytes(), "/api/mcp/", route, BASE_URL)?;
    Some(location.to_str().unwrap().strip_prefix(BASE_URL).unwrap().to_owned())
}

#[test]
fn a_location_in_the_target_is_rewritten_under_its_own_and_the_announced_scheme() {
    for (tls, authority, location) in [
        (false, "127.0.0.1:3000", "https://127.0.0.1:3000/api/mcp"),
        (false, "127.0.0.1:3000", "http://127.0.0.1:3000/api/mcp"),
        (false, "127.0.0.1:3000", "//127.0.0.1:3000/api/mcp"),
        (false, "[::1]:3000", "https://[::1]:3000/api/mcp"),
        (false, "tickets.internal", "https://tickets.internal/api/mcp"),
        (false, "tickets.internal", "https://TICKETS.internal:443/api/mcp"),
        (true, "tickets.internal", "https://tickets.internal/api/mcp"),
        (false, "127.0.0.1:3000", "/api/mcp"),
        (false, "127.0.0.1:3000", "../mcp"),
    ] {
        let rewritten = rewrite(&route(tls, authority, "/api"), location);
        assert_eq!(rewritten.as_deref(), Some("/mcp/dice/mcp"), "{authority} {location}");
    }
}

#[test]
fn a_location_below_the_routes_public_url_stays() {
    let route = route(false, "127.0.0.1:3000", "/api");
    for (location, path) in [
        ("https://mcp.example.com/mcp/dice/mcp?a=b", "/mcp/dice/mcp?a=b"),
        ("https://MCP.example.com:443/mcp/dice/", "/mcp/dice/"),
        ("https://mcp.example.com/mcp/dice", "/mcp/dice/"),
    ] {
        assert_eq!(rewrite(&route, location).as_deref(), Some(path), "{location}");
    }
}

#[test]
fn a_location_with_the_announced_prefix_stays() {
    for target_path in ["", "/api"] {
        let route = route(false, "127.0.0.1:3000", target_path);
        for (location, path) in [
            ("/mcp/dice/mcp?a=b", "/mcp/dice/mcp?a=b"),
            ("/mcp/dice", "/mcp/dice/"),
            ("http://127.0.0.1:3000/mcp/dice/mcp", "/mcp/dice/mcp"),
            ("https://127.0.0.1:3000/mcp/dice/mcp", "/mcp/dice/mcp"),
            ("//127.0.0.1:3000/mcp/dice/mcp", "/mcp/dice/mcp"),
            ("//mcp.example.com/mcp/dice/mcp", "/mcp/dice/mcp"),
        ] {
            assert_eq!(rewrite(&route, location).as_deref(), Some(path), "{target_path:?} {location}");
        }
    }
}

#[test]
fn a_server_whose_own_paths_begin_with_the_announced_prefix_keeps_them() {
    for (target_path, requested, location, path) in [
        ("/mcp/dice", "/mcp/dice/", "/mcp/dice/mcp", "/mcp/dice/mcp"),
        ("", "/mcp/dice/", "/mcp/dice/mcp", "/mcp/dice/mcp/dice/mcp"),
    ] {
        let route = route(false, "127.0.0.1:3000", target_path);
        let location = rewritten(location.as_bytes(), requested, &route, BASE_URL).unwrap();
        assert_eq!(location, format!("{BASE_URL}{path}"), "{target_path:?}");
    }
}

#[test]
fn a_location_elsewhere_is_refused() {
    let route = route(false, "127.0.0.1:3000", "/api");
    for location in [
        "https://evil.example.com/api/mcp",
        "https://127.0.0.1/api/mcp",
        "https://127.0.0.1:3001/api/mcp",
        "ftp://127.0.0.1:3000/api/mcp",
        "https://127.0.0.1:3000/",
        "https://127.0.0.1:3000/api2",
        "https://127.0.0.1:3000/api/../x",
        "https://user@127.0.0.1:3000/api/mcp",
        "https://mcp.example.com/mcp/other/",
        "https://mcp.example.com/mcp/dice/../other/",
        "https://mcp.example.com/mcp/dice2",
        "https://mcp.example.com.evil.example.com/mcp/dice/",
        "https://user:password@mcp.example.com/mcp/dice/",
        "http://mcp.example.com/mcp/dice/",
        "https://[",
        "javascript:alert(1)",
    ] {
        assert_eq!(rewrite(&route, location), None, "{location}");
    }
}

#[test]
fn a_refused_location_is_named_without_query_and_credentials() {
    let route = Box::leak(Box::new(route(false, "127.0.0.1:3000", "/sse")));
    let context = RedirectContext { route, path: "/sse".to_owned(), base_url: BASE_URL.into() };
    for (reference, named) in [
        (
            "/messages?session_id=1",
            "\"http://127.0.0.1:3000/messages\" is neither below the target http://127.0.0.1:3000/sse ",
        ),
        ("https://user:password@login.example.com/a?code=1#b", "\"https://login.example.com/a\" is neither"),
        ("https://[?code=1", "\"https://[\" is neither"),
    ] {
        let error = context.rewrite(reference.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(named), "{error}");
    }
    let long = format!("https://example.com/{}", "x".repeat(10_000));
    assert!(context.rewrite(long.as_bytes()).unwrap_err().to_string().len() < 500);
}
