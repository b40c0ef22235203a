//! User accounts.

/// Password of all users.
pub const PASSWORD: &str = "okta";

/// User in the org's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Short name in the methods of [`Okta`](super::Okta), such as `alice`.
    pub username: String,
    /// Okta's user id, the `sub` of ID tokens.
    pub sub: String,
    /// Display name.
    pub name: String,
    /// E-mail address, which is also the Okta username.
    pub email: String,
    /// `true` if the address is verified.
    pub email_verified: bool,
    /// Okta groups.
    pub groups: Vec<String>,
}

/// Alice (Engineering), Bob (Support) and Carol (Engineering, Admins).
pub fn default_users() -> Vec<User> {
    vec![
        user("alice", "Alice Andersson", &["Engineering"]),
        user("bob", "Bob Brown", &["Support"]),
        user("carol", "Carol Castillo", &["Engineering", "Admins"]),
    ]
}

fn user(username: &str, name: &str, groups: &[&str]) -> User {
    User {
        username: username.to_owned(),
        sub: format!("00u{username:0<10}sT4nD1n"),
        name: name.to_owned(),
        email: format!("{username}@example.com"),
        email_verified: true,
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
    }
}

impl User {
    /// Returns `true` if the entered `login` is this user.
    pub(super) fn is_login_name(&self, login: &str) -> bool {
        login.eq_ignore_ascii_case(&self.username) || login.eq_ignore_ascii_case(&self.email)
    }
}
