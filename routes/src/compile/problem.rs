//! What is wrong with a configuration, said so that the next edit is the right one.

use std::fmt;

/// One mistake: where it is, what is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as the user names it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub wrong: String,
    /// What to write instead.
    pub remedy: String,
}

/// All mistakes of a configuration, in the order of its files and lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub(super) Vec<Problem>);

/// A mistake whose file goes without saying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    /// The keys that lead to it, joined with dots; empty for a mistake in the shape of a file.
    path: String,
    wrong: Wrong,
}

/// A mistake in a value, wherever it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    wrong: String,
    remedy: String,
}

/// What reading a part of a file gives: the value, or every mistake in it.
pub(super) type Read<T> = Result<T, Vec<Fault>>;

impl Problems {
    /// The problems, one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl Wrong {
    pub(super) fn new(wrong: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), remedy: remedy.into() }
    }

    pub(super) fn at(self, line: usize) -> Fault {
        Fault { line, path: String::new(), wrong: self }
    }
}

impl Fault {
    /// Says which key's value is meant.
    pub(super) fn under(mut self, key: &str) -> Self {
        self.path = if self.path.is_empty() { key.to_owned() } else { format!("{key}.{}", self.path) };
        self
    }

    pub(super) fn in_file(self, file: &str) -> Problem {
        let Wrong { wrong, remedy } = self.wrong;
        let wrong = if self.path.is_empty() { wrong } else { format!("`{}`: {wrong}", self.path) };
        Problem { file: file.into(), line: self.line, wrong, remedy }
    }
}

/// A piece of the file in quotes, cut to a bearable length, on one line whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    const BEARABLE: usize = 80;
    match text.char_indices().nth(BEARABLE) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.file, self.line, self.wrong, self.remedy)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

impl std::error::Error for Problems {}
