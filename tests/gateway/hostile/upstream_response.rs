//! Responses of MCP servers.

mod exchange;
mod server;

use super::Target;
use bytes::Bytes;
use exchange::{Schedule, Transport, run};
use gateway::proxy::{Body, ParsedHead, ProxyError, Violation, parse_response_head};
use http::{Method, Response};

/// A response is parsed the same in any fragments, without the bytes after it. No later request receives any of its
/// bytes, at any time of sending, over TCP and TLS.
pub(super) const UPSTREAM_RESPONSE: Target = Target {
    name: "upstream_response",
    run: response,
    seeds: &[
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.0 404 Not Found\r\nConnection: close\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length : 1\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\nKeep-Alive: TIMEOUT=\"9\"\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\nConnection: upgrade\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
};

fn response(input: &[u8]) {
    a_response_is_parsed_the_same_in_any_fragments(input);
    // Connections are slow, in particular with TLS: each input is run with one schedule, which its bytes select.
    let number =
        input.iter().fold(input.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let schedule = Schedule::ALL[number % Schedule::ALL.len()];
    run(input, schedule, Transport::Plain);
    if number.is_multiple_of(4) {
        run(input, schedule, Transport::Tls);
    }
}

fn a_response_is_parsed_the_same_in_any_fragments(input: &[u8]) {
    let whole = Received::of(input, input.len().max(1));
    for size in 1..5 {
        assert_eq!(Received::of(input, size), whole, "in chunks of {size}");
    }
    let Ok(Some(whole)) = whole else { return };
    assert!(whole.data.len() <= whole.length && whole.length <= input.len());
    // Bytes after a response do not belong to it.
    if whole.is_at_end {
        assert_eq!(Received::of(&input[..whole.length], input.len()), Ok(Some(whole)));
    }
}

/// Parsed response.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    status: u16,
    data: Vec<u8>,
    is_at_end: bool,
    /// Length in bytes, from the first to the last.
    length: usize,
}

/// The response that a client gets instead of one that cannot be forwarded.
fn error_response(error: &ProxyError) -> Response<Body> {
    let body = Body::full(Bytes::from_static(error.message().as_bytes()));
    Response::builder().status(error.status()).body(body).unwrap()
}

impl Received {
    /// Parses bytes in fragments of this size; `None` while the head is incomplete.
    fn of(input: &[u8], size: usize) -> Result<Option<Self>, Violation> {
        Self::to(&Method::GET, input, size)
    }

    /// Parses the response to a request with this method.
    fn to(method: &Method, input: &[u8], size: usize) -> Result<Option<Self>, Violation> {
        let (mut part, mut length, mut head) = (Vec::new(), 0, None);
        let mut data = Vec::new();
        for chunk in input.chunks(size) {
            let mut rest = chunk.to_vec();
            if head.is_none() {
                part.append(&mut rest);
                loop {
                    match parse_response_head(&part, method)? {
                        ParsedHead::Part => break,
                        ParsedHead::Interim(interim) => {
                            part.drain(..interim);
                            length += interim;
                        }
                        ParsedHead::Whole(response, whole) => {
                            rest = part.split_off(whole);
                            length += whole;
                            head = Some(response);
                            break;
                        }
                    }
                }
            }
            if let Some(head) = &mut head {
                let (more, taken) = head.framing.take(&rest)?;
                data.extend_from_slice(&more);
                length += taken;
            }
        }
        Ok(head.map(|head| Self {
            status: head.status.as_u16(),
            data,
            is_at_end: head.framing.is_at_end(),
            length,
        }))
    }
}

#[test]
fn no_seed_reaches_a_later_request() {
    for seed in UPSTREAM_RESPONSE.seeds {
        for schedule in Schedule::ALL {
            for transport in [Transport::Plain, Transport::Tls] {
                run(seed.as_bytes(), schedule, transport);
            }
        }
    }
}

#[test]
fn a_connection_without_extra_bytes_is_reused() {
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    for transport in [Transport::Plain, Transport::Tls] {
        assert!(run(response, Schedule::AtOnce, transport).is_reused, "{transport:?}");
        assert!(run(b"", Schedule::AfterLarge, transport).is_reused, "{transport:?}");
    }
}
