use super::*;
use crate::base::error_chain::ErrorChain;
use crate::proxy::test_route::TEST_ROUTE;

const BASE_URL: &str = "https://mcp.example.com";
const URL: &str = "https://mcp.example.com/mcp/dice/m?s=1";

static ROUTE: Route = TEST_ROUTE;

fn processor() -> EndpointEvents {
    EndpointEvents::new(RedirectContext { route: &ROUTE, path: "/sse".to_owned(), base_url: BASE_URL.into() })
}

/// Rewrites a stream as a whole and in chunks of each length, which must not matter.
fn rewritten(stream: &str) -> Result<String, EndpointError> {
    let rewrite = |chunk| rewrite_endpoint_events(stream.as_bytes().chunks(chunk), "/sse", &ROUTE, BASE_URL);
    let whole = rewrite(stream.len().max(1)).map(|whole| String::from_utf8(whole).unwrap());
    for chunk in 1..stream.len().min(20) {
        let parts = rewrite(chunk).map(|parts| String::from_utf8(parts).unwrap());
        assert_eq!(parts.as_ref().ok(), whole.as_ref().ok(), "{stream:?} in chunks of {chunk}");
    }
    whole
}

#[test]
fn an_endpoint_event_is_rewritten_wherever_its_fields_are() {
    for stream in [
        "event: endpoint\ndata: /m?s=1\n\n",
        "event:endpoint\ndata:/m?s=1\n\n",
        "id: 1\nevent: endpoint\ndata: /m?s=1\n\n",
        "data: /m?s=1\nevent: endpoint\n\n",
        "retry: 5\ndata: /m?s=1\nid\n: hello\nevent: endpoint\nunknown: x\n\n",
        "event: message\nevent: endpoint\ndata: /m?s=1\n\n",
        ": hello\n\nevent: endpoint\ndata: /m?s=1\n\n",
        "\n\nretry: 3000\n\nevent: endpoint\ndata: /m?s=1\n\n",
        "event: ping\ndata: {}\n\nevent: endpoint\ndata: http://h:1/m?s=1\n\nevent: message\ndata: /m?s=1 \n\n",
        "event: endpoint\ndata: https://h:1/m?s=1\n\ndata: x\n\nevent: endpoint\ndata: https://h:1/m?s=1\n\n",
        "event: endpoint\ndata: https://mcp.example.com/mcp/dice/m?s=1\n\n",
    ] {
        for end in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', end);
            let expected: Vec<String> = stream
                .split_inclusive(end)
                .map(|line| match line.strip_prefix("data:").map(str::trim_start) {
                    Some(url) if url.contains("/m?s=1") && !url.contains("1 ") => format!("data: {URL}{end}"),
                    _ => line.to_owned(),
                })
                .collect();
            assert_eq!(rewritten(&stream).unwrap(), expected.concat(), "{stream:?}");
        }
    }
}

#[test]
fn a_url_over_several_data_lines_is_resolved_as_clients_do() {
    let stream = "event: endpoint\ndata: /m\nid: 1\ndata: ?s=1\n\n";
    assert_eq!(rewritten(stream).unwrap(), format!("event: endpoint\ndata: {URL}\nid: 1\n:\n\n"));
    let stream = "event: endpoint\rdata: /m\rid: 1\rdata: ?s=1\n\n";
    assert_eq!(rewritten(stream).unwrap(), format!("event: endpoint\rdata: {URL}\rid: 1\r:\n\n"));
}

#[test]
fn a_byte_order_mark_is_removed() {
    let stream = "\u{feff}event: endpoint\ndata: /m?s=1\n\n";
    assert_eq!(rewritten(stream).unwrap(), format!("event: endpoint\ndata: {URL}\n\n"));
    assert_eq!(rewritten("\u{feff}\u{feff}data: a\n\n").unwrap(), "\u{feff}data: a\n\n");
    assert_eq!(rewritten("\u{feff}").unwrap(), "");
}

#[test]
fn other_events_are_passed_on_unchanged() {
    for stream in [
        "",
        "d",
        "data: a\n\n",
        "data: a\r\rdata: b\r\n\r\n\n",
        "event: endpoint2\ndata: /m\n\n",
        "event: endpoint \ndata: /m\n\n",
        " event: endpoint\ndata: /m\n\n",
        "event: endpoint\nevent: message\ndata: /m\n\n",
        "event: endpoint\nevent\ndata: /m\n\n",
        "event: endpoint\n\ndata: /m\n\n",
        "data: event: endpoint\ndata: /m\n\n",
        ": event: endpoint\ndata: /m\n\n",
        // Incomplete: parsers ignore it.
        "event: endpoint\ndata: https://evil.example.com/",
        "event: endpoint\ndata: https://evil.example.com/\n",
    ] {
        assert_eq!(rewritten(stream).unwrap(), stream, "{stream:?}");
    }
}

#[test]
fn an_endpoint_event_outside_the_target_is_an_error_that_names_it() {
    for stream in [
        "event: endpoint\ndata: https://evil.example.com/m\n\n",
        "data: https://evil.example.com/m\nevent: endpoint\n\n",
        "event: ping\ndata: 1\n\nid: 1\nevent: endpoint\ndata: https://evil.\ndata: example.com/m\n\n",
    ] {
        let error = rewritten(stream).unwrap_err();
        let error = ErrorChain(&error).to_string();
        assert!(
            error.contains("\"https://evil.example.com/m\" is neither below the target http://h:1 "),
            "{error}"
        );
    }
}

#[test]
fn whole_events_are_passed_on_and_long_ones_in_parts() {
    let mut events = processor();
    let mut process = |data: &'static str| {
        let passed = events.process(Bytes::from_static(data.as_bytes())).unwrap();
        (String::from_utf8(passed.to_vec()).unwrap(), events.is_between_events())
    };
    assert_eq!(process("data: a\n"), (String::new(), true));
    assert_eq!(process("\ndata: b"), ("data: a\n\n".to_owned(), true));
    assert_eq!(process("\r\n\r"), ("data: b\r\n\r".to_owned(), true));
    assert_eq!(process("\n"), ("\n".to_owned(), true));
    let long: &str = format!("data: {}", "x".repeat(MAX_EVENT_BYTES)).leak();
    assert_eq!(process(long), (long.to_owned(), false));
    assert_eq!(process("y"), ("y".to_owned(), false));
    assert_eq!(process("\ndata: z\nev"), ("\ndata: z\n".to_owned(), false));
    assert_eq!(process("il: endpoint\n"), ("evil: endpoint\n".to_owned(), false));
    assert_eq!(process("\ndata"), ("\n".to_owned(), true));
}

#[test]
fn a_long_endpoint_event_is_an_error() {
    let long = "x".repeat(MAX_EVENT_BYTES);
    for stream in [
        format!("data: https://evil.example.com/\n: {long}\nevent: endpoint\n\n"),
        format!("event: endpoint\n: {long}\ndata: https://evil.example.com/\n\n"),
    ] {
        for chunk in [3, 1000, stream.len()] {
            let rewritten =
                rewrite_endpoint_events(stream.as_bytes().chunks(chunk), "/sse", &ROUTE, BASE_URL);
            assert!(matches!(rewritten, Err(EndpointError::TooLong)), "in chunks of {chunk}");
        }
    }
    let other = format!("data: {long}\nevent: endpoints\n\ndata: a\n\n");
    for chunk in [1, 1000] {
        let passed = rewrite_endpoint_events(other.as_bytes().chunks(chunk), "/sse", &ROUTE, BASE_URL);
        assert_eq!(passed.unwrap(), other.as_bytes());
    }
}
