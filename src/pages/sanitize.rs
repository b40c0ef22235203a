//! Sanitizing of untrusted text for display. The templates escape HTML.

use std::collections::VecDeque;

/// Most displayed characters of a client's name.
pub(super) const NAME: usize = 80;
/// Most displayed characters of an untrusted sentence.
pub(super) const SENTENCE: usize = 300;
/// Most displayed characters of a host name: the longest valid one (RFC 1035 §2.3.4).
const MAX_HOST_CHARS: usize = 253;

/// `text` as one line of at most `limit` characters: without control, direction, zero-width and other invisible
/// characters, with single spaces; a longer text is cut and ends in `…`. May be empty.
pub fn sanitize_for_display(text: &str, limit: usize) -> String {
    let mut shown = visible(text).take(limit.saturating_add(1)).collect::<Vec<_>>();
    if shown.len() > limit {
        shown.truncate(limit.saturating_sub(1));
        shown.push('…');
    }
    shown.into_iter().collect::<String>().trim_end().to_owned()
}

/// A host or scheme, cleaned as by [`sanitize_for_display`]. A longer one loses its *beginning*: the end of a host name
/// says whose it is.
pub fn sanitize_host_for_display(host: &str) -> String {
    let mut shown = VecDeque::with_capacity(MAX_HOST_CHARS);
    for char in visible(host) {
        if shown.len() == MAX_HOST_CHARS {
            shown.pop_front();
            shown[0] = '…';
        }
        shown.push_back(char);
    }
    shown.into_iter().collect::<String>().trim_end().to_owned()
}

/// Visible characters: leading space is removed, other runs of space become one, at most two combining marks in a row.
fn visible(text: &str) -> impl Iterator<Item = char> {
    let mut after_space = true;
    let mut marks = 0;
    text.chars().filter_map(move |char| {
        if is_blank(char) {
            return (!std::mem::replace(&mut after_space, true)).then_some(' ');
        }
        if is_invisible(char) {
            return None;
        }
        marks = if is_combining(char) { marks + 1 } else { 0 };
        (marks <= 2).then(|| {
            after_space = false;
            char
        })
    })
}

/// Returns `true` for white space and characters that look like it: Hangul fillers, the empty Braille pattern.
fn is_blank(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\u{115F}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{FFA0}')
}

/// Returns `true` for invisible characters: controls, direction marks and overrides, zero-width, tags, private use.
fn is_invisible(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{E000}'..='\u{F8FF}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFF}' | '\u{E0000}'..='\u{10FFFF}')
}

fn is_combining(char: char) -> bool {
    matches!(char, '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}'
        | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_removed() {
        for (text, shown) in [
            ("Claude Code", "Claude Code"),
            ("  Claude \t\r\n  Code ", "Claude Code"),
            ("\u{202E}edoC edualC\u{202C}", "edoC edualC"),
            ("Cla\u{200B}u\u{AD}de\u{2066}\u{2069}\u{FEFF}", "Claude"),
            ("a\0b\u{1b}[31mc\u{85}d", "ab[31mc d"),
            ("Z\u{301}\u{302}\u{303}\u{304}o", "Z\u{301}\u{302}o"),
            ("\u{3164}\u{2800}", ""),
            ("עברית 日本語 é", "עברית 日本語 é"),
        ] {
            assert_eq!(sanitize_for_display(text, NAME), shown, "{text:?}");
        }
    }

    #[test]
    fn a_long_name_is_truncated_at_its_end() {
        assert_eq!(sanitize_for_display(&"é".repeat(80), NAME), "é".repeat(80));
        assert_eq!(sanitize_for_display(&"é".repeat(81), NAME), format!("{}…", "é".repeat(79)));
        assert_eq!(sanitize_for_display("abc", 0), "…");
    }

    #[test]
    fn a_long_host_keeps_its_end() {
        let shown =
            sanitize_host_for_display(&format!("accounts.google.com.{}evil.example", "a.".repeat(200)));
        assert!(shown.starts_with('…') && shown.ends_with(".evil.example"), "{shown}");
        assert_eq!(shown.chars().count(), MAX_HOST_CHARS);
        assert_eq!(sanitize_host_for_display("claude.ai"), "claude.ai");
    }
}
