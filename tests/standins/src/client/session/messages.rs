//! Parser of JSON-RPC messages in an event stream, in any fragments.

use serde_json::Value;

/// Bytes of an incomplete event.
#[derive(Default)]
pub(super) struct Messages {
    pending: Vec<u8>,
    data: String,
}

impl Messages {
    /// Returns the messages that this chunk completes; events without JSON are skipped.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Vec<Value> {
        self.pending.extend_from_slice(chunk);
        let mut found = Vec::new();
        while let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            found.extend(self.line(line.trim_end_matches(['\r', '\n'])));
        }
        found
    }

    fn line(&mut self, line: &str) -> Option<Value> {
        if line.is_empty() {
            return serde_json::from_str(&std::mem::take(&mut self.data)).ok();
        }
        if let Some(data) = line.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Messages;
    use serde_json::json;

    #[test]
    fn messages_are_parsed_in_any_fragments() {
        let stream = b": hello\r\nid: 0\r\ndata:\r\n\r\nevent: message\ndata: {\"id\":1,\ndata: \"a\":2}\n\ndata: {\"id\":2}\n\n";
        for cut in 0..stream.len() {
            let mut messages = Messages::default();
            let mut found = messages.feed(&stream[..cut]);
            found.extend(messages.feed(&stream[cut..]));
            assert_eq!(found, [json!({"id": 1, "a": 2}), json!({"id": 2})], "cut at {cut}");
        }
    }
}
