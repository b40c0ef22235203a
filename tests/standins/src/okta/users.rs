//! Who has an account.

/// The password of everyone here.
pub const PASSWORD: &str = "okta";

/// One person in the org's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The short name that the verbs of [`Okta`](super::Okta) take, such as `alice`.
    pub username: String,
    /// Okta's id of the user, the `sub` of ID tokens.
    pub sub: String,
    /// The display name.
    pub name: String,
    /// The e-mail address, which is the Okta username too.
    pub email: String,
    /// Whether they have shown that the address is theirs.
    pub email_verified: bool,
    /// The Okta groups.
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
    /// Whether `login`, as typed into the form, means this person.
    pub(super) fn is_login_name(&self, login: &str) -> bool {
        login.eq_ignore_ascii_case(&self.username) || login.eq_ignore_ascii_case(&self.email)
    }
}
