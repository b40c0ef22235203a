//! Literals as rustfmt lays them out with the workspace's settings.

use std::fmt;
use std::time::Duration;

/// `max_width` in rustfmt.toml.
const WIDTH: usize = 110;

/// rustfmt fills lines with items up to this length, and gives longer ones a line each.
const SHORT: usize = 10;

/// A field of a constant that is a struct: on one line if it fits, else one field a line.
pub(super) fn record(head: &str, fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let line = format!("    {head} {{ {} }},", fields.join(", "));
    if line.len() <= WIDTH {
        return line;
    }
    let lines: String = fields.iter().map(|field| format!("        {field},\n")).collect();
    format!("    {head} {{\n{lines}    }},")
}

/// A field that is a slice of strings.
pub(super) fn strings(indent: usize, field: &str, items: &[&str]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
    array(indent, &format!("{field}: &["), &items, "],")
}

/// An array between its brackets: on one line, or filled, or one item a line.
pub(super) fn array(indent: usize, open: &str, items: &[String], close: &str) -> String {
    let margin = " ".repeat(indent);
    let line = format!("{margin}{open}{}{close}", items.join(", "));
    if line.chars().count() <= WIDTH {
        return line;
    }
    let fill = items.iter().all(|item| item.chars().count() <= SHORT);
    let body = if fill { filled(indent + 4, items) } else { lines(indent + 4, items) };
    format!("{margin}{open}\n{body}{margin}{close}")
}

fn lines(indent: usize, items: &[String]) -> String {
    let margin = " ".repeat(indent);
    items.iter().map(|item| format!("{margin}{item},\n")).collect()
}

fn filled(indent: usize, items: &[String]) -> String {
    let mut lines = vec![String::new()];
    for item in items {
        let last = lines.last_mut().expect("it starts with one and only grows");
        if !last.is_empty() && indent + last.chars().count() + item.chars().count() + 2 > WIDTH {
            lines.push(format!("{item},"));
        } else {
            let space = if last.is_empty() { "" } else { " " };
            last.push_str(&format!("{space}{item},"));
        }
    }
    let margin = " ".repeat(indent);
    lines.iter().map(|line| format!("{margin}{line}\n")).collect()
}

/// An optional literal.
pub(super) fn option(value: Option<impl fmt::Debug>) -> String {
    format!("{value:?}")
}

/// In the largest unit that is exact.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("hours", 3_600_000), ("mins", 60_000), ("secs", 1_000), ("millis", 1)];
    let (unit, length) =
        units.into_iter().find(|(_, length)| millis.is_multiple_of(*length)).unwrap_or(("millis", 1));
    format!("Duration::from_{unit}({})", grouped(millis / length))
}

/// Digits in groups of three: `4_194_304`.
pub(super) fn grouped(number: impl fmt::Display) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    grouped
}
