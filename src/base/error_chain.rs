//! Text of an error with its causes.

use std::error::Error;
use std::fmt;

/// Displays an error and its sources: `upstream connection failed: caused by connection refused`.
#[derive(Debug, Clone, Copy)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": caused by {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("the request failed")]
    struct Outer(#[source] io::Error);

    #[test]
    fn every_cause_is_displayed_once() {
        let error = Outer(io::Error::other("no route to host"));
        assert_eq!(ErrorChain(&error).to_string(), "the request failed: caused by no route to host");
    }
}
