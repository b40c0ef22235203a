//! Forwarded paths, and displayed names.

use super::{Target, text};
use gateway::pages::{sanitize_for_display, sanitize_host_for_display};
use gateway::proxy;
use percent_encoding::percent_decode;

/// An accepted path stays below its route, even if it is decoded several times.
pub(super) const PATH: Target = Target {
    name: "path",
    run: path,
    seeds: &[
        "/mcp/dice/mcp",
        "/mcp/dice/a/../b",
        "/mcp/dice/%2e%2e/x",
        "/mcp/dice/a%2fb;c=d/..;x",
        "/mcp/dice/caf%C3%A9/.well-known",
        "/mcp/dice\0",
        "/mcp/dice/a%0d%0aHost:b",
    ],
};

fn path(input: &[u8]) {
    let Some(input) = text(input) else { return };
    if !proxy::is_normal(input) {
        return;
    }
    assert!(input.starts_with('/') && input.is_ascii() && !input.contains("//") && !input.contains('\\'));
    let mut decoded = input.as_bytes().to_vec();
    for _ in 0..3 {
        assert_eq!(slashes(&decoded), slashes(input.as_bytes()), "no slash was hidden: {input}");
        for segment in decoded.split(|byte| *byte == b'/') {
            let bare = segment.split(|byte| *byte == b';').next().unwrap_or_default();
            assert!(bare != b"." && bare != b"..", "{input}");
        }
        assert!(!decoded.iter().any(u8::is_ascii_control), "{input}");
        decoded = percent_decode(&decoded).collect();
    }
}

fn slashes(path: &[u8]) -> usize {
    path.iter().filter(|byte| matches!(byte, b'/' | b'\\')).count()
}

/// A displayed name is one line of bounded length in one writing direction.
pub(super) const NAME: Target = Target {
    name: "name",
    run: name,
    seeds: &[
        "Claude Code",
        "a\u{202e}b\u{200b}c",
        "x\u{301}\u{301}\u{301}\u{301}",
        "claude.ai.evil.example.com",
        "\u{3164}\u{2800} ",
    ],
};

fn name(input: &[u8]) {
    let Some(input) = text(input) else { return };
    for shown in [sanitize_for_display(input, 80), sanitize_host_for_display(input)] {
        assert!(shown.chars().count() <= 253);
        let hidden = |char: char| {
            char.is_control()
                || ('\u{202a}'..='\u{202e}').contains(&char)
                || ('\u{2066}'..='\u{2069}').contains(&char)
        };
        assert!(!shown.chars().any(hidden), "{shown:?}");
        assert!(!shown.starts_with(' ') && !shown.contains("  "), "{shown:?}");
    }
}
