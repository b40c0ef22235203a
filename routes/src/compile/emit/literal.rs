//! Literals in the layout of rustfmt with the workspace's settings.

use std::fmt;
use std::time::Duration;

/// `max_width` in rustfmt.toml.
pub(super) const MAX_LINE_CHARS: usize = 110;

/// Longest items of which rustfmt puts several on a line (`short_array_element_width_threshold`).
const MAX_FILLED_ITEM_CHARS: usize = 10;

/// Formats a field with a struct literal: on one line if it fits, else one field per line.
pub(super) fn record(head: &str, fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let line = format!("    {head} {{ {} }},", fields.join(", "));
    if line.len() <= MAX_LINE_CHARS {
        return line;
    }
    format!("    {head} {{\n{}    }},", lines(8, &fields))
}

/// Formats a field with a slice of strings.
pub(super) fn strings(indent: usize, field: &str, items: &[&str]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
    array(indent, &format!("{field}: &["), &items, "],")
}

/// Formats an array: on one line, filled, or one item per line.
pub(super) fn array(indent: usize, open: &str, items: &[String], close: &str) -> String {
    let margin = " ".repeat(indent);
    let line = format!("{margin}{open}{}{close}", items.join(", "));
    if line.chars().count() <= MAX_LINE_CHARS {
        return line;
    }
    let fill = items.iter().all(|item| item.chars().count() <= MAX_FILLED_ITEM_CHARS);
    let body = if fill { filled(indent + 4, items) } else { lines(indent + 4, items) };
    format!("{margin}{open}\n{body}{margin}{close}")
}

fn lines(indent: usize, items: &[String]) -> String {
    items.iter().fold(String::new(), |lines, item| lines + &" ".repeat(indent) + item + ",\n")
}

/// Formats lines with as many items as fit.
pub(super) fn filled(indent: usize, items: &[impl AsRef<str>]) -> String {
    let mut rows: Vec<String> = Vec::new();
    for item in items.iter().map(AsRef::as_ref) {
        match rows.last_mut() {
            // A comma and a space precede the item, a comma follows it.
            Some(row) if indent + row.chars().count() + item.chars().count() + 3 < MAX_LINE_CHARS => {
                *row += ", ";
                *row += item;
            }
            _ => rows.push(item.to_owned()),
        }
    }
    lines(indent, &rows)
}

/// Formats a JSON text as raw string literal. Carriage returns, which such a literal must not contain, become line
/// feeds: in JSON, both are white space between tokens.
pub(super) fn raw_string(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    // A longer run of hashes than the text has bytes cannot occur in it.
    let mut hashes = (1..=text.len() + 1).map(|count| "#".repeat(count));
    let hashes = hashes.find(|hashes| !text.contains(&format!("\"{hashes}"))).unwrap_or_default();
    format!("r{hashes}\"{text}\"{hashes}")
}

/// Formats a duration in the largest exact unit.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("hours", 3_600_000), ("mins", 60_000), ("secs", 1_000), ("millis", 1)];
    let (unit, length) =
        units.into_iter().find(|(_, length)| millis.is_multiple_of(*length)).unwrap_or(("millis", 1));
    format!("Duration::from_{unit}({})", grouped(millis / length))
}

/// Formats a number with digits in groups of three: `4_194_304`.
pub(super) fn grouped(number: impl fmt::Display) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    grouped
}
