//! Text of an error with its causes.

use std::error::Error;
use std::fmt;

/// Displays an error and its sources: `upstream connection failed: caused by connection refused`. A cause that the text
/// before it contains is left out: many errors display their source themselves.
#[derive(Debug, Clone, Copy)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut source = self.0.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text.push_str(": caused by ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("the request failed")]
    struct Outer(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("reading the file: {0}")]
    struct Repeating(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("the disk failed")]
    struct Inner(#[source] io::Error);

    #[test]
    fn every_cause_is_displayed_once() {
        let error = Outer(io::Error::other("no route to host"));
        assert_eq!(ErrorChain(&error).to_string(), "the request failed: caused by no route to host");
    }

    #[test]
    fn a_cause_that_the_error_displays_itself_is_not_repeated() {
        let error = Repeating(Inner(io::Error::other("no space left")));
        assert_eq!(
            ErrorChain(&error).to_string(),
            "reading the file: the disk failed: caused by no space left"
        );
    }
}
