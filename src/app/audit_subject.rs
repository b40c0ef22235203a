//! The subject of an audit event: the user, the client and the route of a request, as far as they are known.

use crate::app::audit::Audit;
use crate::grants::{Code, Grant, Subject};
use crate::oauth::authorization::AuthorizationRequest;
use crate::oauth::client::{self, DocumentUrl};

/// Length of a claimed `client_id` in the log: enough to identify a registration.
const CLAIMED_ID_CHARS: usize = 12;

/// User, client and route of a request. An endpoint fills it in as it learns them; unknown fields are empty.
#[derive(Debug, Clone, Default)]
pub struct AuditSubject {
    /// The user's `sub` at Okta.
    pub user: String,
    /// The `client_name` of the client.
    pub client: String,
    /// The `client_id`, as the client sent it.
    pub client_id: String,
    /// The pattern of the route.
    pub route: String,
}

impl AuditSubject {
    /// Records the `client_id` of a client that is not known yet, bounded: it may be any text.
    pub fn claim_client(&mut self, client_id: &str) {
        self.client_id = if client::is_url(client_id) && DocumentUrl::parse(client_id).is_ok() {
            client_id.to_owned()
        } else {
            client_id.chars().take(CLAIMED_ID_CHARS).collect()
        };
    }

    /// Records the client and the route of an authorization request.
    pub fn set_authorization(&mut self, request: &AuthorizationRequest) {
        self.client.clone_from(&request.client_name);
        self.client_id.clone_from(&request.client_id);
        self.route = request.route.clone().unwrap_or_default();
    }

    /// Records the user and the route of an authorization code.
    pub fn set_code(&mut self, code: &Code) {
        self.set_user(&code.subject);
        self.route = code.request.route.clone().unwrap_or_default();
    }

    /// Records the user and the route of a grant.
    pub fn set_grant(&mut self, grant: &Grant) {
        self.set_user(&grant.subject);
        self.route.clone_from(&grant.route);
    }

    /// Writes an event with these fields to the audit log.
    pub fn record(&self, event: Audit<'_>) {
        Audit {
            user: &self.user,
            client: &self.client,
            client_id: &self.client_id,
            route: &self.route,
            ..event
        }
        .record();
    }

    fn set_user(&mut self, subject: &Subject) {
        self.user.clone_from(&subject.user().sub);
    }
}

impl From<&AuthorizationRequest> for AuditSubject {
    fn from(request: &AuthorizationRequest) -> Self {
        let mut subject = Self::default();
        subject.set_authorization(request);
        subject
    }
}

impl From<&Grant> for AuditSubject {
    fn from(grant: &Grant) -> Self {
        let mut subject =
            Self { client: grant.client_name.clone(), client_id: grant.client_id.clone(), ..Self::default() };
        subject.set_grant(grant);
        subject
    }
}
