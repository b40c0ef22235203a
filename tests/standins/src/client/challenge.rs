//! `WWW-Authenticate: Bearer …` (RFC 6750 §3, RFC 9728 §5.1).

/// Parameters of a Bearer challenge in order; `None` for another scheme or invalid syntax.
pub(super) fn bearer(header: &str) -> Option<Vec<(String, String)>> {
    let (scheme, mut rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut parameters = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(parameters);
        }
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        parameters.push((name.trim().to_ascii_lowercase(), value));
        rest = after;
    }
}

/// Parses a token or a quoted string; returns the rest too.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, rest) = text.split_at(text.find([',', ' ']).unwrap_or(text.len()));
        return Some((token.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn a_bearer_challenge_is_parsed_with_all_parameters() {
        let header = r#"Bearer realm="a \"b\", c", resource_metadata="http://h/.well-known/x" ,scope=a"#;
        let found = bearer(header).unwrap();
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let want = [("realm", "a \"b\", c"), ("resource_metadata", "http://h/.well-known/x"), ("scope", "a")];
        assert_eq!(found, want);
        assert_eq!(bearer("Basic realm=\"x\""), None);
        assert_eq!(bearer("Bearer realm=\"x"), None);
        assert_eq!(bearer("Bearer"), Some(vec![]));
    }
}
