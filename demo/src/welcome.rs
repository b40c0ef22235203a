//! What to open, and what to paste where.

use crate::say;
use crate::world::{DICE, World};
use gateway::pages::Snippets;
use gateway_standins::okta::{PASSWORD, everyone};

/// Says it.
pub(crate) fn welcome(world: &World) {
    let people: Vec<String> = everyone()
        .iter()
        .map(|person| format!("{} ({})", person.username, person.groups.join(", ")))
        .collect();
    let snippets = Snippets::new("dice", &format!("{}{DICE}mcp", world.base_url));
    say(&format!(
        "
  The gateway is up. Open this page: it shows how to connect every client to every server.

      {base_url}/

  Or paste one of these:

      Claude Code   {claude_code}
      VS Code       {vscode}
      Cursor        into ~/.cursor/mcp.json: {cursor}
      a terminal    {mcp_remote}

  Your browser opens. Sign in as {people}; the password is {PASSWORD}.",
        base_url = world.base_url,
        claude_code = snippets.claude_code,
        vscode = snippets.vscode_command,
        cursor = on_one_line(&snippets.cursor_file),
        mcp_remote = snippets.remote_command,
        people = people.join(", "),
    ));
    say(&format!("\n  Behind it: a stand-in Okta at {}, and", world.okta.url()));
    for route in world.site.table.routes() {
        say(&format!("      {:<12}  {} at http://{}", route.pattern, route.name, route.target.authority));
    }
    say("\n  Below, a line for each decision. Ctrl-C ends the demo.\n");
}

/// JSON without its line breaks, none of which stands in a string.
fn on_one_line(json: &str) -> String {
    json.lines().map(str::trim_start).collect()
}
