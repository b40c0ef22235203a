//! Event streams of servers.

use super::Target;
use super::forwarding::{BASE_URL, route};
use gateway::proxy;
use gateway_routes::Route;
use std::sync::LazyLock;
use url::Url;

/// Every `endpoint` event that a client dispatches has a URL of the route, other events are unchanged, and nothing
/// depends on how the stream is split into chunks.
pub(super) const EVENT_STREAM: Target = Target {
    name: "event_stream",
    run: event_stream,
    seeds: &[
        "event: endpoint\ndata: /api/m?s=1\n\ndata: b\r\r",
        "id: 1\r\ndata: /api/m\r\nevent:endpoint\r\n\r\ndata: https://evil.example.com/\n\n",
        "\u{feff}event: endpoint\rdata: https://evil.\rdata: example.com\r\r",
        ":\r\n\n\revent: endpoint\nevent: message\ndata: \u{feff}\n\n: x",
    ],
};

fn event_stream(input: &[u8]) {
    static ROUTE: LazyLock<Route> = LazyLock::new(route);
    let rewrite = |size| proxy::rewrite_endpoint_events(input.chunks(size), "/api/sse", &ROUTE, BASE_URL);
    let whole = rewrite(input.len().max(1));
    for size in 1..4 {
        assert_eq!(rewrite(size).ok(), whole.as_ref().ok().cloned(), "in chunks of {size}");
    }
    let Ok(passed) = whole else { return };
    // What was passed on follows a comment: there a byte order mark would be content.
    let sent = dispatched(input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input));
    let received = dispatched(&passed);
    assert_eq!(sent.len(), received.len());
    for (sent, received) in sent.into_iter().zip(received) {
        if received.0 == b"endpoint" {
            let url = Url::parse(std::str::from_utf8(&received.1).expect("text")).expect("a URL");
            assert_eq!(url.origin().ascii_serialization(), BASE_URL);
            assert!(url.path().starts_with(ROUTE.pattern), "{url}");
            assert_eq!(sent.0, received.0);
        } else {
            assert_eq!(sent, received);
        }
    }
}

/// Events that a client dispatches, each with type and data (HTML standard §9.2.6).
fn dispatched(stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut events, mut name, mut data) = (Vec::new(), Vec::new(), Vec::new());
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut rest = stream.iter().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' => {
                rest.next_if_eq(&&b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            _ => lines.last_mut().expect("a line").push(*byte),
        }
    }
    lines.pop();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':');
        let value = colon.map_or(&b""[..], |colon| &line[colon + 1..]);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon.unwrap_or(line.len())] {
            b"" if colon.is_none() => {
                let (name, data): (Vec<u8>, Vec<Vec<u8>>) =
                    (std::mem::take(&mut name), std::mem::take(&mut data));
                if !data.is_empty() {
                    events.push((name, data.join(&b'\n')));
                }
            }
            b"event" => name = value.to_vec(),
            b"data" => data.push(value.to_vec()),
            _ => {}
        }
    }
    events
}
