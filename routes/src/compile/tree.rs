//! A YAML file as a tree that knows its lines. Anchors, aliases and tags are refused: nothing here needs
//! them, and a few lines of them can expand to gigabytes.

#[cfg(test)]
mod tests;

use super::problem::{Fault, Wrong, quoted};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use std::borrow::Cow;

/// No configuration nests deeper; the bound keeps the reader's stack small.
const DEEPEST: usize = 16;

/// A value and the line it starts on.
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
    /// A fault was reported already; whoever reads it says nothing more.
    Refused,
}

/// Text, and whether it stood without quotes, so that it may mean a number, a truth value or nothing.
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

/// The tree of a file's only document, and what is wrong with it as YAML. No tree: the file cannot be read
/// to its end.
pub(super) fn parse(text: &str) -> (Option<Node>, Vec<Fault>) {
    let mut builder = Builder { parser: Parser::new_from_str(text), faults: Vec::new() };
    let root = match builder.document() {
        Ok(root) => Some(root),
        Err(Stop(fault)) => {
            builder.faults.push(fault);
            None
        }
    };
    (root, builder.faults)
}

/// The rest of the file cannot be read.
struct Stop(Fault);

struct Builder<'input> {
    parser: Parser<'input, StrInput<'input>>,
    faults: Vec<Fault>,
}

impl<'input> Builder<'input> {
    fn next(&mut self) -> Result<(Event<'input>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Stop(
                Wrong::new(
                    format!("this is not YAML ({})", error.info()),
                    "check the indentation, the quotes and the brackets here and on the lines above",
                )
                .at(error.marker().line()),
            )),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Node, Stop> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_), _) => {}
                (Event::StreamEnd, _) => {
                    let empty = Wrong::new("the file is empty", "write the settings or remove the file");
                    return Err(Stop(empty.at(1)));
                }
                (event, span) => {
                    let root = self.node(event, span, 0)?;
                    self.end()?;
                    return Ok(root);
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), Stop> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(_), span) => {
                    let second = Wrong::new("a second document starts here", "write one document a file");
                    return Err(Stop(second.at(span.start.line())));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'input>, span: Span, depth: usize) -> Result<Node, Stop> {
        let line = span.start.line();
        if depth > DEEPEST {
            return Err(Stop(Wrong::new("this nests too deeply", "remove the surplus brackets").at(line)));
        }
        let fancy = match &event {
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
            _ => Value::Refused,
        };
        let Some(fancy) = fancy else { return Ok(Node { line, value }) };
        self.faults
            .push(Wrong::new(format!("{fancy} is not understood here"), "write the value itself").at(line));
        Ok(Node { line, value: Value::Refused })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Stop> {
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
                Err(fault) => self.faults.extend(fault),
            }
        }
    }

    fn add(&mut self, entries: &mut Vec<Entry>, entry: Entry) {
        match entries.iter().find(|earlier| earlier.key == entry.key) {
            Some(earlier) => self.faults.push(
                Wrong::new(
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
    // A block scalar ends with a line break that its writer does not see.
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    let text = if block { text.trim_end_matches('\n').into() } else { text.into_owned() };
    Value::Scalar(Scalar { text, plain: style == ScalarStyle::Plain })
}

fn entry(key: Node, mut value: Node) -> Result<Entry, Option<Fault>> {
    match key.value {
        Value::Scalar(Scalar { text, .. }) => {
            // The parser finds a value that is not there on the next line.
            if matches!(&value.value, Value::Scalar(scalar) if scalar.plain && scalar.text.is_empty()) {
                value.line = key.line;
            }
            Ok(Entry { key: text, line: key.line, value })
        }
        Value::Refused => Err(None),
        Value::List(_) | Value::Map(_) => {
            let wrong =
                Wrong::new("a list or a mapping stands where a key is expected", "write `key: value`");
            Err(Some(wrong.at(key.line)))
        }
    }
}

impl Scalar {
    /// For a message: what the scalar is, on one line.
    pub(super) fn shown(&self) -> String {
        quoted(&self.text)
    }
}
