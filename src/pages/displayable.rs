//! Text from strangers, made fit to stand beside our own.

const LONGEST: usize = 80;

/// At most 80 characters; without controls, and without the invisible ones that reorder or hide others.
pub(super) fn displayable(text: &str) -> String {
    let visible = text.chars().filter(|c| !c.is_control() && !is_invisible(*c));
    let mut clipped: String = visible.clone().take(LONGEST).collect();
    if visible.count() > LONGEST {
        clipped.push('…');
    }
    clipped.trim().to_owned()
}

const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_reorder_hide_or_flood() {
        assert_eq!(displayable("Ev\u{202e}il\u{200b}\r\n "), "Evil");
        assert_eq!(displayable(&"x".repeat(200)).chars().count(), 81);
    }
}
