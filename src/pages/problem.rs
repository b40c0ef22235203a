//! The page for what cannot go on: it says in words what happened and what to do in which client.

use super::Page;
use super::sanitize::{NAME, SENTENCE};
use askama::Template;

/// What the person can do about a problem.
#[derive(Debug, Clone, Copy)]
pub enum Guidance<'a> {
    /// The client must forget its registration and register again: the steps for each client.
    RegisterAgain,
    /// The login is over: start again, with the steps for each client.
    StartAgain,
    /// Something else, in one or two sentences.
    Text(&'a str),
}

/// A page for a person whose request cannot be served.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "problem.html")]
pub struct Problem<'a> {
    /// The heading, a few words.
    pub title: &'a str,
    /// One or two sentences.
    pub what_happened: &'a str,
    /// What to do about it.
    pub what_to_do: Guidance<'a>,
    /// What whoever helps wants to know, in the words of the protocol; may be empty.
    pub detail: &'a str,
    /// For support: finds the matching log lines.
    pub request_id: &'a str,
}

impl Problem<'_> {
    /// The page.
    pub fn page(&self) -> Page {
        Page::render(self)
    }
}
