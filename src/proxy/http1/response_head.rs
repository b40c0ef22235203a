//! Parser for the head of an upstream response.

use super::chunks::Chunks;
use super::{BodyFraming, KeepAlive, Violation};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use httparse::ParserConfig;
use std::mem::MaybeUninit;

/// Maximum number of header fields in a response.
const MAX_FIELDS: usize = 100;
static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// Capacity reserved for header fields that the gateway adds for the client.
const ADDED_FIELDS: usize = 6;

/// Head of a response, with the framing of its body.
#[derive(Debug)]
pub struct ResponseHead {
    /// Status; the only interim one is 101.
    pub status: StatusCode,
    /// All header fields, including the hop-by-hop ones.
    pub headers: HeaderMap,
    /// Framing of the body.
    pub framing: BodyFraming,
    /// True if the server accepts another request on the connection (RFC 9112 §9.3).
    pub persistent: bool,
    /// Limits of the connection that `Keep-Alive` announces.
    pub keep_alive: KeepAlive,
}

/// Result of parsing a response head.
#[derive(Debug)]
pub enum ParsedHead {
    /// The head is incomplete.
    Part,
    /// Interim response (RFC 9110 §15.2) of this length in bytes; another response follows.
    Interim(usize),
    /// Complete head, and its length in bytes.
    Whole(Box<ResponseHead>, usize),
}

/// Parses the response head at the beginning of `bytes`, for a request with this method.
///
/// # Errors
///
/// The head is malformed or its framing is ambiguous (RFC 9112 §6.3).
pub fn parse_response_head(bytes: &[u8], method: &Method) -> Result<ParsedHead, Violation> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed =
        ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut fields);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(ParsedHead::Part),
        Err(httparse::Error::TooManyHeaders) => return Err(Violation::TooManyFields),
        Err(_) => return Err(Violation::NotHttp1),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Violation::InvalidStatus)?;
    let (headers, announced) = collect(response.headers, &bytes[..length])?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        // RFC 9110 §15.2: another parser could read the following response as its body.
        return if announced.has_body() {
            Err(Violation::InterimBody)
        } else {
            Ok(ParsedHead::Interim(length))
        };
    }
    let is_http_1_0 = response.version != Some(1);
    let framing = framing(&announced, status, method, is_http_1_0)?;
    let persistent = !is_http_1_0
        && framing != BodyFraming::UntilClose
        && !announced.closes
        && status != StatusCode::SWITCHING_PROTOCOLS
        // The server may send the announced body all the same, in front of the next response.
        && !(is_bodiless(status, method) && announced.has_body());
    let keep_alive = announced.keep_alive;
    let head = ResponseHead { status, headers, framing, persistent, keep_alive };
    Ok(ParsedHead::Whole(Box::new(head), length))
}

/// Framing fields of a head: `Content-Length`, `Transfer-Encoding`, `Connection` and `Keep-Alive`.
#[derive(Default)]
struct Announced {
    length: Option<u64>,
    is_chunked: bool,
    /// `Connection: close` is present.
    closes: bool,
    keep_alive: KeepAlive,
}

/// Collects the header fields; all values share one copy of the head.
fn collect(fields: &[httparse::Header<'_>], head: &[u8]) -> Result<(HeaderMap, Announced), Violation> {
    let mut headers = HeaderMap::with_capacity(fields.len() + ADDED_FIELDS);
    let mut announced = Announced::default();
    let copy = Bytes::copy_from_slice(head);
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        // The pointer of an empty value may lie outside `head`.
        let start = field.value.as_ptr().addr().saturating_sub(head.as_ptr().addr()).min(head.len());
        let end = (start + field.value.len()).min(head.len());
        let value = HeaderValue::from_maybe_shared(copy.slice(start..end));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Violation::InvalidField);
        };
        announced.note(&name, field.value)?;
        headers.append(name, value);
    }
    Ok((headers, announced))
}

impl Announced {
    fn has_body(&self) -> bool {
        self.is_chunked || self.length.is_some_and(|length| length > 0)
    }

    fn note(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Violation> {
        if name == CONTENT_LENGTH {
            let length = decimal(value).ok_or(Violation::InvalidLength)?;
            if self.length.replace(length).is_some() {
                return Err(Violation::RepeatedLength);
            }
        } else if name == TRANSFER_ENCODING {
            if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Violation::UnknownTransferCoding);
            }
            self.is_chunked = true;
        } else if name == CONNECTION {
            self.closes |= value.split(|byte| *byte == b',').any(is_close);
        } else if name == KEEP_ALIVE {
            self.keep_alive.add(value);
        }
        Ok(())
    }
}

/// Determines the framing of the body (RFC 9112 §6.3).
fn framing(
    announced: &Announced,
    status: StatusCode,
    method: &Method,
    is_http_1_0: bool,
) -> Result<BodyFraming, Violation> {
    match (announced.is_chunked, announced.length) {
        (true, Some(_)) => return Err(Violation::AmbiguousFraming),
        (true, None) if is_http_1_0 => return Err(Violation::Http10TransferCoding),
        _ => {}
    }
    Ok(match announced.length {
        _ if is_bodiless(status, method) => BodyFraming::Length(0),
        Some(length) => BodyFraming::Length(length),
        None if announced.is_chunked => BodyFraming::Chunked(Chunks::START),
        None => BodyFraming::UntilClose,
    })
}

/// Returns `true` for a response without a body, whatever its head announces (RFC 9112 §6.3).
fn is_bodiless(status: StatusCode, method: &Method) -> bool {
    method == Method::HEAD || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

/// Parses decimal digits; `u64::from_str` alone would accept a sign.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn is_close(option: &[u8]) -> bool {
    option.trim_ascii().eq_ignore_ascii_case(b"close")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &'static str) -> Result<ParsedHead, Violation> {
        parse_response_head(head.as_bytes(), &Method::POST)
    }

    fn whole(head: &'static str) -> ResponseHead {
        match read(head) {
            Ok(ParsedHead::Whole(response, length)) if length == head.len() => *response,
            other => panic!("{head:?}: {other:?}"),
        }
    }

    #[test]
    fn the_head_determines_framing_and_persistence() {
        for (head, framing, persistent) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", BodyFraming::Length(5), true),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, Close\r\n\r\n",
                BodyFraming::Length(5),
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
                BodyFraming::Chunked(Chunks::START),
                true,
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", BodyFraming::UntilClose, false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", BodyFraming::Length(5), false),
            ("HTTP/1.1 204 No Content\r\n\r\n", BodyFraming::Length(0), true),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n", BodyFraming::Length(0), true),
        ] {
            let response = whole(head);
            assert_eq!((response.framing, response.persistent), (framing, persistent), "{head:?}");
        }
    }

    #[test]
    fn a_connection_is_not_persistent_if_an_unread_body_may_follow() {
        for (head, method) in [
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Method::GET),
            ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", Method::GET),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::HEAD),
            ("HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n\r\n", Method::GET),
        ] {
            let Ok(ParsedHead::Whole(response, _)) = parse_response_head(head.as_bytes(), &method) else {
                panic!("{head:?}")
            };
            assert!(response.framing == BodyFraming::Length(0) && !response.persistent, "{head:?}");
        }
        for fields in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
            let interim = format!("HTTP/1.1 103 Early Hints\r\n{fields}\r\n\r\n");
            assert!(parse_response_head(interim.as_bytes(), &Method::GET).is_err(), "{fields}");
        }
    }

    #[test]
    fn a_response_to_head_keeps_its_content_length_field() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        let Ok(ParsedHead::Whole(response, _)) = parse_response_head(head, &Method::HEAD) else {
            panic!("it is whole")
        };
        assert_eq!(
            (response.framing, &response.headers[CONTENT_LENGTH]),
            (BodyFraming::Length(0), &"5".parse().unwrap())
        );
    }

    #[test]
    fn ambiguous_framing_is_rejected() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5, 5",
            "Content-Length: +5",
            "Content-Length: -1",
            "Content-Length: 0x5",
            "Content-Length:",
            "Content-Length: 18446744073709551616",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: identity",
            "Content-Length : 5",
            "X: a\r\n folded",
            "X: a\0b",
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
            assert!(parse_response_head(head.as_bytes(), &Method::GET).is_err(), "{fields:?}");
        }
        assert!(read("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(read("SSH-2.0-OpenSSH_9.2\r\n\r\n").is_err());
        assert!(read("HTTP/2 200\r\n\r\n").is_err());
    }

    #[test]
    fn interim_and_incomplete_heads_are_recognized() {
        let early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
        assert!(matches!(read(early), Ok(ParsedHead::Interim(length)) if length == early.len()));
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        for length in 0..head.len() {
            assert!(matches!(read(&head[..length]), Ok(ParsedHead::Part)), "{length}");
        }
        assert_eq!(whole("HTTP/1.1 101 Switching Protocols\r\n\r\n").status, StatusCode::SWITCHING_PROTOCOLS);
    }
}
