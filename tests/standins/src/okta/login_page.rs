//! Login page. It lists the users, which are not real.

use super::users::{PASSWORD, User};

/// Variables of the page.
pub(super) struct LoginPage<'a> {
    pub(super) state_token: &'a str,
    /// Initial value of the username field.
    pub(super) username: &'a str,
    pub(super) error: Option<&'a str>,
    pub(super) users: &'a [User],
}

const STYLE: &str = "
:root { color-scheme: light dark }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; background: #f4f5f7; color: #1d1d21 }
main { max-width: 22rem; margin: 10vh auto; padding: 2rem; background: #fff; border: 1px solid #d7d7dc; border-radius: 8px }
h1 { font-size: 1.25rem; margin: 0 0 1rem }
label { display: block; margin: .75rem 0 .25rem; font-weight: 600 }
input { box-sizing: border-box; width: 100%; padding: .5rem; font: inherit; border: 1px solid #8c8c96; border-radius: 4px }
button { width: 100%; margin-top: 1.25rem; padding: .6rem; font: inherit; font-weight: 600; color: #fff; background: #1662dd; border: 0; border-radius: 4px; cursor: pointer }
.error { color: #b4232c } .note { margin: 1.5rem 0 0; font-size: .875rem; color: #6e6e78 } .note ul { padding-left: 1.2rem; margin: .25rem 0 }
@media (prefers-color-scheme: dark) { body { background: #17171a; color: #eee } main { background: #222226; border-color: #3a3a40 } .note { color: #aaa } .error { color: #ff8a8f } }
";

/// Renders the page as HTML.
pub(super) fn login_page(shown: &LoginPage<'_>) -> String {
    let error =
        shown.error.map_or_else(String::new, |words| format!("<p class=error role=alert>{words}</p>"));
    let users: String = shown.users.iter().map(entry).collect();
    let (state_token, username) = (escape(shown.state_token), escape(shown.username));
    format!(
        r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in – stand-in Okta</title><style>{STYLE}</style></head>
<body><main>
<h1>Sign in to stand-in Okta</h1>
{error}
<form method="post" action="/login">
<input type="hidden" name="stateToken" value="{state_token}">
<label for="username">Username</label>
<input id="username" name="username" value="{username}" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Sign in</button>
</form>
<div class="note">This is not Okta but a stand-in for it. The password of everyone is <code>{PASSWORD}</code>:
<ul>{users}</ul></div>
</main></body></html>
"#
    )
}

fn entry(user: &User) -> String {
    format!("<li><code>{}</code> ({})</li>", escape(&user.username), escape(&user.groups.join(", ")))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
