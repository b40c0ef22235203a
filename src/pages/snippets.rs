//! Configuration snippets that connect MCP clients to a server.

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use std::collections::BTreeMap;

/// Characters that `encodeURIComponent` encodes, as the links of both editors expect.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Configuration snippets of one server.
pub struct Snippets {
    /// Shell command for Claude Code.
    pub claude_code: String,
    /// Content of `.cursor/mcp.json`.
    pub cursor_file: String,
    /// Install link for Cursor, which asks for confirmation.
    pub cursor_link: String,
    /// Content of `.vscode/mcp.json`.
    pub vscode_file: String,
    /// Shell command for VS Code.
    pub vscode_command: String,
    /// Install link for VS Code, which asks for confirmation.
    pub vscode_link: String,
    /// Shell command of a bridge for clients without support of remote servers.
    pub remote_command: String,
    /// `mcpServers` configuration of the bridge.
    pub remote_file: String,
}

impl Snippets {
    /// Creates the snippets of the server at `url`, which clients call `id`.
    pub fn new(id: &str, url: &str) -> Self {
        let id = &identifier(id);
        let named = &json(&Named { name: id, kind: "http", url });
        let plain = &json(&Cursor { url });
        let remote = Command { command: "npx", args: ["-y", "mcp-remote@latest", url] };
        Self {
            claude_code: format!("claude mcp add --transport http {id} {}", shell(url)),
            cursor_file: file("mcpServers", id, Cursor { url }),
            cursor_link: format!(
                "cursor://anysphere.cursor-deeplink/mcp/install?name={id}&config={}",
                component(&STANDARD.encode(plain))
            ),
            vscode_file: file("servers", id, VsCode { kind: "http", url }),
            vscode_command: format!("code --add-mcp {}", shell(named)),
            vscode_link: format!("vscode:mcp/install?{}", component(named)),
            remote_command: format!("npx -y mcp-remote@latest {}", shell(url)),
            remote_file: file("mcpServers", id, remote),
        }
    }
}

#[derive(Serialize)]
struct Cursor<'a> {
    url: &'a str,
}

#[derive(Serialize)]
struct VsCode<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    url: &'a str,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    url: &'a str,
}

#[derive(Serialize)]
struct Command<'a> {
    command: &'a str,
    args: [&'a str; 3],
}

/// Reduces a name to ASCII letters, digits, `-` and `_`, so that it needs no shell quotes and is no option.
fn identifier(id: &str) -> String {
    let dashed = id.replace(|char: char| !(char.is_ascii_alphanumeric() || char == '-' || char == '_'), "-");
    let name = dashed.trim_matches('-');
    if name.is_empty() { "server".to_owned() } else { name.to_owned() }
}

/// Quotes an argument for a POSIX shell.
fn shell(argument: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if argument.bytes().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

fn component(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

fn file(list: &str, id: &str, server: impl Serialize) -> String {
    let document = BTreeMap::from([(list, BTreeMap::from([(id, server)]))]);
    serde_json::to_string_pretty(&document).expect("strings always serialise")
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_gets_its_own_snippet() {
        let snippets = Snippets::new("dice", "http://localhost:8080/mcp/dice/mcp");
        let url = "http://localhost:8080/mcp/dice/mcp";
        assert_eq!(snippets.claude_code, format!("claude mcp add --transport http dice {url}"));
        assert_eq!(snippets.remote_command, format!("npx -y mcp-remote@latest {url}"));
        assert_eq!(
            snippets.vscode_command,
            format!(r#"code --add-mcp '{{"name":"dice","type":"http","url":"{url}"}}'"#)
        );
        let file: serde_json::Value = serde_json::from_str(&snippets.vscode_file).unwrap();
        assert_eq!(file, serde_json::json!({ "servers": { "dice": { "type": "http", "url": url } } }));
        let file: serde_json::Value = serde_json::from_str(&snippets.remote_file).unwrap();
        let args = ["-y", "mcp-remote@latest", url];
        assert_eq!(file, serde_json::json!({ "mcpServers": { "dice": { "command": "npx", "args": args } } }));
    }

    #[test]
    fn the_links_contain_the_configuration() {
        let snippets = Snippets::new("dice", "https://mcp.example.com/mcp/dice/mcp");
        assert_eq!(
            snippets.cursor_link,
            "cursor://anysphere.cursor-deeplink/mcp/install?name=dice&config=\
             eyJ1cmwiOiJodHRwczovL21jcC5leGFtcGxlLmNvbS9tY3AvZGljZS9tY3AifQ%3D%3D"
        );
        assert_eq!(
            snippets.vscode_link,
            "vscode:mcp/install?%7B%22name%22%3A%22dice%22%2C%22type%22%3A%22http%22%2C\
             %22url%22%3A%22https%3A%2F%2Fmcp.example.com%2Fmcp%2Fdice%2Fmcp%22%7D"
        );
    }

    #[test]
    fn names_and_urls_are_quoted_in_shell_commands() {
        let snippets = Snippets::new("--scope user; rm -rf ~", "http://localhost/a'b;c$(d)");
        assert_eq!(
            snippets.claude_code,
            r"claude mcp add --transport http scope-user--rm--rf 'http://localhost/a'\''b;c$(d)'"
        );
        assert_eq!(identifier("…"), "server");
    }
}
