//! YAML tree with line numbers. Anchors, aliases and tags are rejected: they are not needed, and a few lines of aliases
//! can expand to gigabytes.

#[cfg(test)]
mod tests;

use super::problem::{LineError, ValueError, quoted};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use std::borrow::Cow;

/// Deepest nesting, which limits the recursion of the reader.
const MAX_DEPTH: usize = 16;

/// Value with the line on which it starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Invalid value whose error was reported already.
    Invalid,
}

/// Scalar text; `plain` if it is unquoted and may therefore be a number, a boolean or null.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) plain: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: Node,
}

/// Parses the only document of a file. There is no tree when a syntax error prevents reading the rest of the file.
pub(super) fn parse(text: &str) -> (Option<Node>, Vec<LineError>) {
    let mut builder = Builder { parser: Parser::new_from_str(text), errors: Vec::new() };
    let root = match builder.document() {
        Ok(root) => Some(root),
        Err(FatalError(error)) => {
            builder.errors.push(error);
            None
        }
    };
    (root, builder.errors)
}

/// Error after which the rest of the file cannot be read.
struct FatalError(LineError);

struct Builder<'input> {
    parser: Parser<'input, StrInput<'input>>,
    errors: Vec<LineError>,
}

impl<'input> Builder<'input> {
    fn next(&mut self) -> Result<(Event<'input>, Span), FatalError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(FatalError(
                ValueError::new(
                    format!("this is not YAML ({})", error.info()),
                    "check the indentation, the quotes and the brackets here and on the lines above",
                )
                .at(error.marker().line()),
            )),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Node, FatalError> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_), _) => {}
                (Event::StreamEnd, _) => {
                    let empty = ValueError::new("the file is empty", "write the settings or remove the file");
                    return Err(FatalError(empty.at(1)));
                }
                (event, span) => {
                    let root = self.node(event, span, 0)?;
                    self.end()?;
                    return Ok(root);
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), FatalError> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(_), span) => {
                    let second =
                        ValueError::new("a second document starts here", "write one document a file");
                    return Err(FatalError(second.at(span.start.line())));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'input>, span: Span, depth: usize) -> Result<Node, FatalError> {
        let line = span.start.line();
        if depth > MAX_DEPTH {
            return Err(FatalError(
                ValueError::new("this nests too deeply", "remove the surplus brackets").at(line),
            ));
        }
        let unsupported = match &event {
            Event::Alias(_) => Some("an alias (`*name`)"),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => Some("a tag (`!name`)"),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _) => (*anchor > 0).then_some("an anchor (`&name`)"),
            _ => None,
        };
        let value = match event {
            Event::Scalar(text, style, ..) => scalar(text, style),
            Event::SequenceStart(..) => Value::List(self.list(depth)?),
            Event::MappingStart(..) => Value::Map(self.map(depth)?),
            _ => Value::Invalid,
        };
        let Some(unsupported) = unsupported else { return Ok(Node { line, value }) };
        self.errors.push(
            ValueError::new(format!("{unsupported} is not supported"), "write the value itself").at(line),
        );
        Ok(Node { line, value: Value::Invalid })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, FatalError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, FatalError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            match entry(key, value) {
                Ok(entry) => self.add(&mut entries, entry),
                Err(error) => self.errors.extend(error),
            }
        }
    }

    fn add(&mut self, entries: &mut Vec<Entry>, entry: Entry) {
        match entries.iter().find(|earlier| earlier.key == entry.key) {
            Some(earlier) => self.errors.push(
                ValueError::new(
                    format!("`{}` is set on line {} already", entry.key, earlier.line),
                    "keep one of the two",
                )
                .at(entry.line),
            ),
            None => entries.push(entry),
        }
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value {
    // The final line break of a block scalar is not part of the value.
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    let text = if block { text.trim_end_matches('\n').into() } else { text.into_owned() };
    Value::Scalar(Scalar { text, plain: style == ScalarStyle::Plain })
}

fn entry(key: Node, mut value: Node) -> Result<Entry, Option<LineError>> {
    match key.value {
        Value::Scalar(Scalar { text, .. }) => {
            // The parser reports a missing value on the next line.
            if matches!(&value.value, Value::Scalar(scalar) if scalar.plain && scalar.text.is_empty()) {
                value.line = key.line;
            }
            Ok(Entry { key: text, line: key.line, value })
        }
        Value::Invalid => Err(None),
        Value::List(_) | Value::Map(_) => {
            let error = ValueError::new("a list or a mapping instead of a key", "write `key: value`");
            Err(Some(error.at(key.line)))
        }
    }
}

impl Scalar {
    /// Quoted text for messages, on one line.
    pub(super) fn quoted(&self) -> String {
        quoted(&self.text)
    }
}
