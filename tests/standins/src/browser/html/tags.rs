//! HTML as a sequence of tags, with the text of some of them.

/// Tags whose content is not markup.
const RAW: [&str; 2] = ["script", "style"];
/// Tags whose text is needed, up to their end tag.
const WITH_TEXT: [&str; 3] = ["button", "option", "textarea"];

/// Start tag, or end tag whose name begins with a slash.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) name: String,
    /// Names in lower case with decoded values.
    attributes: Vec<(String, String)>,
    /// Text without markup, for the tags that need it.
    pub(super) text: String,
}

impl Tag {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// Tags of a document in order, without comments and scripts.
pub(super) struct Tags<'a> {
    rest: &'a str,
}

impl<'a> Tags<'a> {
    pub(super) fn new(html: &'a str) -> Self {
        Self { rest: html }
    }
}

impl Iterator for Tags<'_> {
    type Item = Tag;

    fn next(&mut self) -> Option<Tag> {
        loop {
            self.rest = &self.rest[self.rest.find('<')?..];
            if self.rest.starts_with("<!--") {
                self.rest = self.rest.find("-->").map_or("", |end| &self.rest[end..]);
            } else if self.rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
                break;
            } else {
                self.rest = &self.rest[1..];
            }
        }
        let (mut tag, rest) = read_tag(&self.rest[1..]);
        self.rest = rest;
        if RAW.contains(&tag.name.as_str()) {
            self.rest = &rest[end_of(rest, &[&format!("</{}", tag.name)])..];
        } else if WITH_TEXT.contains(&tag.name.as_str()) {
            // An option may be closed by the next one.
            let end = end_of(rest, &[&format!("</{}", tag.name), "<option", "</select"]);
            tag.text = plain(&rest[..end]);
        }
        Some(tag)
    }
}

/// Offset of the first of `ends`, case-insensitive; the length of the text if there is none.
fn end_of(text: &str, ends: &[&str]) -> usize {
    let lower = text.to_ascii_lowercase();
    ends.iter().filter_map(|end| lower.find(end)).min().unwrap_or(text.len())
}

/// Parses the tag after a `<`; returns the rest too.
fn read_tag(text: &str) -> (Tag, &str) {
    let end = text.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            break;
        }
        if let Some(after) = rest.strip_prefix('>') {
            rest = after;
            break;
        }
        let (attribute, after) = read_attribute(rest);
        attributes.push(attribute);
        rest = after;
    }
    (Tag { name: name.trim_end_matches('/').to_ascii_lowercase(), attributes, text: String::new() }, rest)
}

fn read_attribute(text: &str) -> ((String, String), &str) {
    let is_end = |c: char| c.is_ascii_whitespace() || c == '=' || c == '>';
    // A name has at least one character, so that every call makes progress.
    let first = text.chars().next().map_or(0, char::len_utf8);
    let end = text[first..].find(is_end).map_or(text.len(), |end| first + end);
    let (name, rest) = text.split_at(end);
    let name = name.to_ascii_lowercase();
    let Some(value) = rest.trim_start().strip_prefix('=') else {
        return ((name, String::new()), rest);
    };
    let value = value.trim_start();
    let (value, rest) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
        _ => value.split_at(value.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(value.len())),
    };
    ((name, decode(value)), rest)
}

/// Text without tags, with decoded entities and normalized white space.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => inside = false,
            _ if !inside => text.push(c),
            _ => {}
        }
    }
    decode(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Decodes character references: numeric ones and the few names that templates use.
fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        decoded.push_str(&rest[..start]);
        rest = &rest[start..];
        let reference = rest.find(';').and_then(|end| Some((character(&rest[1..end])?, end + 1)));
        let (character, length) = reference.unwrap_or(('&', 1));
        decoded.push(character);
        rest = &rest[length..];
    }
    decoded.push_str(rest);
    decoded
}

fn character(reference: &str) -> Option<char> {
    if let Some(number) = reference.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    match reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => None,
    }
}
