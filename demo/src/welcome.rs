//! Welcome message with the URL of the landing page and client configurations.

use crate::print_line;
use crate::world::{DICE, World};
use gateway::pages::Snippets;
use gateway_standins::okta::{PASSWORD, default_users};

/// Prints the welcome message.
pub(crate) fn welcome(world: &World) {
    let users: Vec<String> = default_users()
        .iter()
        .map(|user| format!("{} ({})", user.username, user.groups.join(", ")))
        .collect();
    let snippets = Snippets::new("dice", &format!("{}{DICE}mcp", world.base_url));
    print_line(&format!(
        "
  The gateway is up. Open this page: it shows how to connect every client to every server.

      {base_url}/

  Or paste one of these:

      Claude Code   {claude_code}
      VS Code       {vscode}
      Cursor        into ~/.cursor/mcp.json: {cursor}
      a terminal    {mcp_remote}

  Your browser opens. Sign in as {users}; the password is {PASSWORD}.",
        base_url = world.base_url,
        claude_code = snippets.claude_code,
        vscode = snippets.vscode_command,
        cursor = on_one_line(&snippets.cursor_file),
        mcp_remote = snippets.remote_command,
        users = users.join(", "),
    ));
    print_line(&format!("\n  Behind it: a stand-in Okta at {}, and", world.okta.url()));
    for route in world.site.table.routes() {
        print_line(&format!(
            "      {:<12}  {} at http://{}",
            route.pattern, route.name, route.target.authority
        ));
    }
    print_line("\n  Below, a line for each decision. Ctrl-C ends the demo.\n");
}

/// Removes line breaks and indentation of JSON; its strings contain no line breaks.
fn on_one_line(json: &str) -> String {
    json.lines().map(str::trim_start).collect()
}
