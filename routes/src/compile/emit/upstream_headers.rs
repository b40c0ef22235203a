//! Generator of `upstream_headers`.

use super::literal::{MAX_LINE_CHARS, array};
use crate::UpstreamHeader;

/// One header per line, in the layout of rustfmt.
pub(super) fn upstream_headers(headers: &[UpstreamHeader]) -> String {
    let header = |header: &UpstreamHeader| {
        let parts: Vec<String> = header.value.iter().map(|part| format!("ValuePart::{part:?}")).collect();
        let line = format!(
            "        UpstreamHeader {{ name: {:?}, value: &[{}] }},\n",
            header.name,
            parts.join(", ")
        );
        if line.trim_end().chars().count() <= MAX_LINE_CHARS {
            return line;
        }
        format!(
            "        UpstreamHeader {{\n            name: {:?},\n{}\n        }},\n",
            header.name,
            array(12, "value: &[", &parts, "],")
        )
    };
    match headers {
        [] => "    upstream_headers: &[],".to_owned(),
        headers => {
            format!("    upstream_headers: &[\n{}    ],", headers.iter().map(header).collect::<String>())
        }
    }
}
