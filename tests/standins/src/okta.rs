//! Stand-in Okta: an `OpenID` provider on loopback with the endpoints, names and messages of Okta's org authorization
//! server and its custom ones, and with faults that tests can enable.

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
use std::net::SocketAddr;
use std::sync::Arc;

pub use id_token::IdTokenFault;
pub use options::{ClaimsIn, EmailVerified, OktaOptions, RefreshTokens};
pub use outage::Outage;
pub use received::Received;
pub use users::{PASSWORD, User, default_users};

use crate::server::{Bound, Server};
use org::Org;

/// Running org. Dropping it closes its port and its connections.
pub struct Okta {
    server: Server,
    org: Arc<Org>,
}

impl Okta {
    /// Starts an org on 127.0.0.1.
    pub async fn start(options: OktaOptions) -> io::Result<Self> {
        let bound = Bound::to(options.port).await?;
        let origin = options.origin.clone().unwrap_or_else(|| bound.origin());
        let org = Arc::new(Org::new(origin, options));
        let server = bound.serve(routes::router(&org));
        Ok(Self { server, org })
    }

    /// URL of the org without a trailing slash, which is the issuer of its org authorization server.
    pub fn url(&self) -> &str {
        &self.org.origin
    }

    /// Socket address, without TLS.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Issuer of the custom authorization server `id`.
    pub fn custom_issuer(&self, id: &str) -> String {
        format!("{}/oauth2/{id}", self.url())
    }

    /// Stops the server; then its port is free again.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// Removes the app from `username`: the next login is `access_denied`, a refresh is `invalid_grant`.
    pub fn refuse_assignment(&self, username: &str) {
        self.org.memory().refused.insert(username.to_owned());
    }

    /// Assigns the app to `username` again.
    pub fn assign(&self, username: &str) {
        self.org.memory().refused.remove(username);
    }

    /// Suspends `username`: no login, a refresh is `invalid_grant`, userinfo is 401.
    pub fn suspend(&self, username: &str) {
        self.org.memory().suspended.insert(username.to_owned());
    }

    /// Reverts [`suspend`](Self::suspend).
    pub fn unsuspend(&self, username: &str) {
        self.org.memory().suspended.remove(username);
    }

    /// Sets the groups of `username`.
    pub fn set_groups(&self, username: &str, groups: &[&str]) {
        let mut memory = self.org.memory();
        for user in memory.users.iter_mut().filter(|user| user.username == username) {
            user.groups = groups.iter().map(|&group| group.to_owned()).collect();
        }
    }

    /// Sets the e-mail address of `username`, and whether it is verified.
    pub fn set_email(&self, username: &str, email: &str, verified: bool) {
        let mut memory = self.org.memory();
        for user in memory.users.iter_mut().filter(|user| user.username == username) {
            (user.email, user.email_verified) = (email.to_owned(), verified);
        }
    }

    /// Ends all browser sessions; tokens stay valid.
    pub fn end_sessions(&self) {
        self.org.memory().sessions.clear();
    }

    /// Revokes every refresh token, as an admin's "revoke tokens" does.
    pub fn revoke_refresh_tokens(&self) {
        let mut memory = self.org.memory();
        memory.families.clear();
        memory.refresh_tokens.clear();
    }

    /// Adds a sign-in redirect URI, for a gateway whose port is known only after the start of the org.
    pub fn add_redirect_uri(&self, uri: &str) {
        self.org.memory().redirect_uris.push(uri.to_owned());
    }

    /// Changes the app's secret; the old one is `invalid_client` at once.
    pub fn set_client_secret(&self, secret: &str) {
        secret.clone_into(&mut self.org.memory().client_secret);
    }

    /// Signs with a new key under a new `kid`; the JWKS keeps the previous one.
    pub fn rotate_keys(&self) {
        self.org.memory().keys.rotate();
    }

    /// Leaves the current key out of the JWKS, as in the first moments after a rotation; `false` publishes it.
    pub fn withhold_key(&self, withheld: bool) {
        self.org.memory().keys.withhold(withheld);
    }

    /// Adds keys of unknown type, curve and algorithm to the JWKS, before and after the org's.
    pub fn add_foreign_key_to_jwks(&self) {
        self.org.memory().keys.add_foreign();
    }

    /// Starts an outage of the whole org; [`Outage::None`] ends it. Requests that already hang stay pending.
    pub fn outage(&self, outage: Outage) {
        self.org.memory().outage = outage;
    }

    /// Starts an outage of paths that end with `end`, such as `/v1/token`; [`Outage::None`] exempts them from the
    /// outage of the org.
    pub fn outage_at(&self, end: &str, outage: Outage) {
        self.org.memory().outages.insert(end.to_owned(), outage);
    }

    /// Applies this fault to all ID tokens from now on.
    pub fn id_token_fault(&self, fault: Option<IdTokenFault>) {
        self.org.memory().fault = fault;
    }

    /// The last thousand requests, oldest first.
    pub fn requests(&self) -> Vec<Received> {
        self.org.log.all()
    }

    /// Removes the requests so far.
    pub fn clear_requests(&self) {
        self.org.log.clear();
    }

    /// Waits for a request, past or future, whose path ends with `end`; `None` after 20 seconds.
    pub async fn wait_for_request(&self, end: &str) -> Option<Received> {
        self.org.log.wait_for(|request| request.path.ends_with(end)).await
    }
}
