//! Violations of HTTP/1.1 in upstream responses.

use thiserror::Error;

/// Violation of HTTP/1.1 (RFC 9112) in a response of an MCP server, or a limit that the response exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Violation {
    /// A connection that ended before a response.
    #[error("the server closed the connection without a response")]
    NoResponse,
    /// Data that arrived before the request was sent.
    #[error("the server responded before the request")]
    EarlyResponse,
    /// More header fields than are parsed.
    #[error("the response has too many header fields")]
    TooManyFields,
    /// Bytes that are no HTTP/1 response head.
    #[error("the response is not an HTTP/1 message")]
    NotHttp1,
    /// A status outside 100 to 999.
    #[error("the response has no valid status")]
    InvalidStatus,
    /// A 1xx response that announces a body.
    #[error("an interim response has a body")]
    InterimBody,
    /// A header field with invalid name or value.
    #[error("the response has an invalid header field")]
    InvalidField,
    /// A `Content-Length` that is not a decimal number.
    #[error("the response has an invalid Content-Length")]
    InvalidLength,
    /// A repeated `Content-Length`.
    #[error("the response has more than one Content-Length")]
    RepeatedLength,
    /// A transfer coding other than chunked.
    #[error("the response has a Transfer-Encoding other than chunked")]
    UnknownTransferCoding,
    /// Both framing fields, of which two parsers may prefer different ones.
    #[error("the response has Transfer-Encoding and Content-Length")]
    AmbiguousFraming,
    /// `Transfer-Encoding` in HTTP/1.0, which does not define it.
    #[error("the HTTP/1.0 response has Transfer-Encoding")]
    Http10TransferCoding,
    /// A response head that exceeds the size limit.
    #[error("the response head is too large")]
    HeadTooLarge,
    /// Bytes that the chunked coding does not permit.
    #[error("the chunked coding of the response is malformed")]
    MalformedChunk,
    /// A chunk size that does not fit into 64 bits.
    #[error("a chunk of the response is too large")]
    ChunkTooLarge,
    /// A chunk-size line or a trailer section that exceeds its limit.
    #[error("a chunk-size line or the trailer section of the response is too long")]
    ChunkLineTooLong,
    /// A connection that ended before the body did.
    #[error("the server closed the connection within the response body")]
    IncompleteBody,
}
