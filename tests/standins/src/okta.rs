//! A stand-in Okta: a real `OpenID` provider on loopback, with the endpoints, names and words of Okta's org
//! authorization server and of its custom ones, and with verbs that make it misbehave.

mod app_auth;
mod authorize;
mod bounded_map;
mod claims;
mod documents;
mod id_token;
mod keys;
mod login_page;
mod options;
mod org;
mod outage;
mod received;
mod refresh;
mod responses;
mod routes;
mod server;
mod token;
mod users;

use std::io;
use std::sync::Arc;

pub use id_token::IdTokenFault;
pub use options::{ClaimsIn, EmailVerified, OktaOptions, RefreshTokens};
pub use outage::Outage;
pub use received::Received;
pub use users::{PASSWORD, User, default_users};

use crate::server::{Bound, Server};
use org::Org;

/// A running org; dropping it closes its port and its connections.
pub struct Okta {
    server: Server,
    org: Arc<Org>,
}

impl Okta {
    /// Starts an org on 127.0.0.1.
    pub async fn start(options: OktaOptions) -> io::Result<Self> {
        let bound = Bound::to(options.port).await?;
        let org = Arc::new(Org::new(bound.origin(), options));
        let server = bound.serve(routes::router(&org));
        Ok(Self { server, org })
    }

    /// The org's URL without a trailing slash, which is the issuer of its org authorization server.
    pub fn url(&self) -> &str {
        &self.org.origin
    }

    /// The issuer of the custom authorization server `id`.
    pub fn custom_issuer(&self, id: &str) -> String {
        format!("{}/oauth2/{id}", self.url())
    }

    /// Stops; when this returns the port is free again.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// Takes the app away from `username`: the next login is `access_denied`, refresh is `invalid_grant`.
    pub fn refuse_assignment(&self, username: &str) {
        self.org.memory().refused.insert(username.to_owned());
    }

    /// Gives the app back to `username`.
    pub fn assign(&self, username: &str) {
        self.org.memory().refused.remove(username);
    }

    /// Suspends `username`: no login, refresh is `invalid_grant`, userinfo is 401.
    pub fn suspend(&self, username: &str) {
        self.org.memory().suspended.insert(username.to_owned());
    }

    /// Undoes [`suspend`](Self::suspend).
    pub fn unsuspend(&self, username: &str) {
        self.org.memory().suspended.remove(username);
    }

    /// Puts `username` into exactly these groups.
    pub fn set_groups(&self, username: &str, groups: &[&str]) {
        let mut memory = self.org.memory();
        for user in memory.users.iter_mut().filter(|user| user.username == username) {
            user.groups = groups.iter().map(|&group| group.to_owned()).collect();
        }
    }

    /// Gives `username` this e-mail address, which they have shown to be theirs or not.
    pub fn set_email(&self, username: &str, email: &str, verified: bool) {
        let mut memory = self.org.memory();
        for user in memory.users.iter_mut().filter(|user| user.username == username) {
            (user.email, user.email_verified) = (email.to_owned(), verified);
        }
    }

    /// Signs every browser out; tokens live on.
    pub fn end_sessions(&self) {
        self.org.memory().sessions.clear();
    }

    /// Forgets every refresh token, as an admin's "revoke tokens" does.
    pub fn revoke_refresh_tokens(&self) {
        let mut memory = self.org.memory();
        memory.families.clear();
        memory.refresh_tokens.clear();
    }

    /// Adds a sign-in redirect URI, for a gateway whose port is known only after the org has started.
    pub fn add_redirect_uri(&self, uri: &str) {
        self.org.memory().redirect_uris.push(uri.to_owned());
    }

    /// Changes the app's secret; the old one is `invalid_client` at once.
    pub fn set_client_secret(&self, secret: &str) {
        secret.clone_into(&mut self.org.memory().client_secret);
    }

    /// Signs with a new key under a new `kid`; the JWKS keeps the last one beside it.
    pub fn rotate_keys(&self) {
        self.org.memory().keys.rotate();
    }

    /// Adds keys of unknown type, curve and algorithm to the JWKS, before and after ours.
    pub fn add_foreign_key_to_jwks(&self) {
        self.org.memory().keys.add_foreign();
    }

    /// Fails as a whole, or recovers with [`Outage::None`]. Requests that already hang stay unanswered.
    pub fn outage(&self, outage: Outage) {
        self.org.memory().outage = outage;
    }

    /// Fails where the path ends with `end`, such as `/v1/token`; [`Outage::None`] exempts it from the outage
    /// of the whole.
    pub fn outage_at(&self, end: &str, outage: Outage) {
        self.org.memory().outages.insert(end.to_owned(), outage);
    }

    /// Spoils every ID token from now on; `None` makes them right again.
    pub fn id_token_fault(&self, fault: Option<IdTokenFault>) {
        self.org.memory().fault = fault;
    }

    /// The last thousand requests, oldest first.
    pub fn requests(&self) -> Vec<Received> {
        self.org.log.all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.org.log.clear();
    }

    /// The first request, past or future, whose path ends with `end`; `None` after 20 seconds.
    pub async fn wait_for_request(&self, end: &str) -> Option<Received> {
        self.org.log.wait_for(|request| request.path.ends_with(end)).await
    }
}
