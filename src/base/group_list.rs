//! List of group names with a limit on its size, as `X-Forwarded-Groups` contains it.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Longest list, in bytes: with the name of its header it fits into a line of 8 KiB, the limit of many servers.
pub const MAX_LIST_BYTES: usize = 7 * 1024;

/// Characters that are percent-encoded: those no header value may contain, and the list separator.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b',');

/// Percent-encodes a name for a header value.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Size of a list that grows up to the limit.
#[derive(Debug, Default)]
pub struct ListSize(usize);

impl ListSize {
    /// Adds a name, if the list with it is not too long.
    pub fn add(&mut self, name: &str) -> bool {
        let size = self.0 + encode(name).len() + usize::from(self.0 > 0);
        let fits = size <= MAX_LIST_BYTES;
        if fits {
            self.0 = size;
        }
        fits
    }
}

/// Joins encoded names with commas; names that do not fit are left out.
pub fn join(names: &[String]) -> String {
    let mut size = ListSize::default();
    let fitting = names.iter().filter(|name| size.add(name));
    fitting.map(|name| encode(name)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_never_longer_than_the_limit_and_has_whole_names() {
        for name in ["Engineering", "a,b", "é", &"x".repeat(MAX_LIST_BYTES + 1)] {
            let joined = join(&vec![name.to_owned(); 2000]);
            assert!(joined.len() <= MAX_LIST_BYTES, "{} bytes", joined.len());
            assert!(joined.is_empty() || joined.split(',').all(|part| part == encode(name)));
        }
    }
}
