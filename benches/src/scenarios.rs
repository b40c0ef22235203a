//! Scenarios and candidates.

use crate::nginx::Nginx;

/// Scenario; the first candidate is compared with all others.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    /// Length of the request body, in bytes.
    pub(crate) body: usize,
    pub(crate) connections: usize,
    pub(crate) candidates: &'static [Candidate],
    /// Included in `--quick`.
    pub(crate) quick: bool,
}

/// Measured server and configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// Gateway with a cached token, without audit log, as nginx logs nothing.
    Gateway,
    /// Gateway with default logging: every request is audited; the log is discarded.
    Audited,
    /// Gateway with a thousand routes.
    ThousandRoutes,
    /// Gateway that receives a new token with every request.
    ColdTokens,
    /// Gateway with a hundred thousand tokens, all used before.
    ManyTokens,
    /// Gateway with HTTP/2 without TLS (h2c).
    H2c,
    Nginx(Nginx),
}

impl Candidate {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Audited => "gateway, audited",
            Self::ThousandRoutes => "gateway, 1000 routes",
            Self::ColdTokens => "gateway, cold tokens",
            Self::ManyTokens => "gateway, 100 000 tokens",
            Self::H2c => "gateway, h2c",
            Self::Nginx(Nginx::Plain) => "nginx",
            Self::Nginx(Nginx::Unbuffered) => "nginx, unbuffered",
            Self::Nginx(Nginx::LargeBuffers) => "nginx, 64 KiB buffers",
            Self::Nginx(Nginx::AuthRequest) => "nginx, auth_request",
            Self::Nginx(Nginx::Logged) => "nginx, access log",
            Self::Nginx(Nginx::H2c) => "nginx, h2c",
        }
    }
}

use Candidate::{Audited, ColdTokens, Gateway, ManyTokens, ThousandRoutes};
const PLAIN: Candidate = Candidate::Nginx(Nginx::Plain);
const UNBUFFERED: Candidate = Candidate::Nginx(Nginx::Unbuffered);
const LARGE_BUFFERS: Candidate = Candidate::Nginx(Nginx::LargeBuffers);
const AUTH_REQUEST: Candidate = Candidate::Nginx(Nginx::AuthRequest);

const GET: Scenario = Scenario {
    name: "256 B, 64 connections",
    path: "/bytes/256",
    body: 0,
    connections: 64,
    candidates: &[Gateway, PLAIN, UNBUFFERED, AUTH_REQUEST],
    quick: false,
};

pub(crate) const ALL: &[Scenario] = &[
    Scenario { quick: true, ..GET },
    Scenario {
        name: "256 B, 64 connections, default logging",
        candidates: &[Audited, Candidate::Nginx(Nginx::Logged)],
        quick: true,
        ..GET
    },
    Scenario { name: "tools/call: 200 B in, 256 B out, 64 connections", body: 200, ..GET },
    Scenario { name: "4 KiB, 64 connections", path: "/bytes/4096", ..GET },
    Scenario { name: "256 B, 1 connection", connections: 1, candidates: &[Gateway, PLAIN], ..GET },
    Scenario { name: "256 B, 512 connections", connections: 512, candidates: &[Gateway, PLAIN], ..GET },
    Scenario {
        name: "64 KiB, 64 connections",
        path: "/bytes/65536",
        candidates: &[Gateway, PLAIN, LARGE_BUFFERS],
        ..GET
    },
    Scenario {
        name: "1 MiB down, 16 connections",
        path: "/bytes/1048576",
        connections: 16,
        candidates: &[Gateway, PLAIN, LARGE_BUFFERS],
        quick: true,
        ..GET
    },
    Scenario {
        name: "1 MiB up, 16 connections",
        path: "/up",
        body: 1024 * 1024,
        connections: 16,
        candidates: &[Gateway, PLAIN, LARGE_BUFFERS, UNBUFFERED],
        ..GET
    },
    Scenario {
        name: "SSE of 1000 events, 16 connections",
        path: "/events/1000",
        connections: 16,
        candidates: &[Gateway, PLAIN, UNBUFFERED],
        quick: true,
        ..GET
    },
    Scenario { name: "1000 routes", candidates: &[ThousandRoutes, Gateway], ..GET },
    Scenario { name: "cold tokens", candidates: &[ColdTokens, Gateway, PLAIN], quick: true, ..GET },
    Scenario { name: "100 000 warm tokens", candidates: &[ManyTokens, Gateway], ..GET },
    Scenario {
        name: "h2c, 256 B, 16 connections of 8 streams",
        connections: 16,
        candidates: &[Candidate::H2c, Candidate::Nginx(Nginx::H2c)],
        ..GET
    },
];
