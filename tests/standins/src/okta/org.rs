//! State of an org.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, HashSet};

use super::bounded_map::BoundedMap;
use super::id_token::IdTokenFault;
use super::keys::Keys;
use super::options::OktaOptions;
use super::outage::Outage;
use super::received::Received;
use super::server::AuthServer;
use super::users::User;
use crate::log::Log;

/// Org, shared by its handlers and its handle.
pub(super) struct Org {
    /// URL of the org, without a trailing slash.
    pub(super) origin: String,
    pub(super) options: OktaOptions,
    pub(super) log: Log<Received>,
    memory: Mutex<Memory>,
}

/// Mutable state.
pub(super) struct Memory {
    pub(super) client_secret: String,
    pub(super) redirect_uris: Vec<String>,
    pub(super) users: Vec<User>,
    /// Usernames that are not assigned to the app.
    pub(super) refused: HashSet<String>,
    /// Usernames that cannot sign in and whose tokens are invalid.
    pub(super) suspended: HashSet<String>,
    pub(super) keys: Keys,
    pub(super) outage: Outage,
    /// Outages of single endpoints, by the end of their path.
    pub(super) outages: HashMap<String, Outage>,
    pub(super) fault: Option<IdTokenFault>,
    /// Pending logins, by their state token.
    pub(super) pending: BoundedMap<AuthorizeRequest>,
    /// Browser sessions, by their `sid` cookie.
    pub(super) sessions: BoundedMap<Session>,
    pub(super) codes: BoundedMap<Code>,
    pub(super) access_tokens: BoundedMap<Access>,
    /// Used `jti` values of client assertions.
    pub(super) assertions: BoundedMap<()>,
    /// Refresh tokens, current and used, with the id of their family.
    pub(super) refresh_tokens: BoundedMap<String>,
    pub(super) families: BoundedMap<Family>,
}

/// Validated authorization request.
#[derive(Debug, Clone)]
pub(super) struct AuthorizeRequest {
    pub(super) server: AuthServer,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) challenge: Option<String>,
    pub(super) login_hint: Option<String>,
    pub(super) prompt: Option<String>,
}

/// Signed-in browser.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) username: String,
    pub(super) auth_time: u64,
}

/// Unused authorization code.
pub(super) struct Code {
    pub(super) request: AuthorizeRequest,
    pub(super) session: Session,
    pub(super) expires_at: u64,
}

/// Access at userinfo that an access token grants.
pub(super) struct Access {
    pub(super) username: String,
    pub(super) server: AuthServer,
    pub(super) scopes: Vec<String>,
    pub(super) expires_at: u64,
}

/// Refresh tokens of one login.
#[derive(Clone)]
pub(super) struct Family {
    pub(super) session: Session,
    pub(super) server: AuthServer,
    pub(super) scopes: Vec<String>,
    pub(super) current: String,
    /// Previous token, and the time when it was replaced.
    pub(super) previous: Option<(String, u64)>,
}

impl Org {
    pub(super) fn new(origin: String, options: OktaOptions) -> Self {
        let memory = Mutex::new(Memory::new(&options));
        Self { origin, options, log: Log::new(), memory }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock()
    }

    pub(super) fn now(&self) -> u64 {
        self.options.time.now()
    }
}

impl Memory {
    fn new(options: &OktaOptions) -> Self {
        let unassigned = |user: &&User| {
            options.assigned.as_ref().is_some_and(|assigned| !assigned.contains(&user.username))
        };
        Self {
            client_secret: options.client_secret.clone(),
            redirect_uris: options.redirect_uris.clone(),
            users: options.users.clone(),
            refused: options.users.iter().filter(unassigned).map(|user| user.username.clone()).collect(),
            suspended: HashSet::new(),
            keys: Keys::new(),
            outage: Outage::None,
            outages: HashMap::new(),
            fault: None,
            pending: BoundedMap::new(),
            sessions: BoundedMap::new(),
            codes: BoundedMap::new(),
            access_tokens: BoundedMap::new(),
            assertions: BoundedMap::new(),
            refresh_tokens: BoundedMap::new(),
            families: BoundedMap::new(),
        }
    }

    pub(super) fn user(&self, username: &str) -> Option<&User> {
        self.users.iter().find(|user| user.username == username)
    }

    /// User whose tokens are valid: known, not suspended, assigned to the app.
    pub(super) fn active(&self, username: &str) -> Option<&User> {
        self.user(username).filter(|_| !self.suspended.contains(username) && !self.refused.contains(username))
    }
}
