//! Revalidation of the user at Okta before a refresh token is rotated.
//!
//! 1. Okta is queried at most once a minute per grant, whether the query succeeds or fails. In between, the last
//!    result is used. A login counts as a revalidation.
//! 2. Among all replicas, only the holder of the grant's lease queries Okta; concurrent refreshes wait for the result
//!    in the grant. Okta's refresh token is therefore never sent twice concurrently.
//! 3. The result is written to the grant in one update: Okta's new refresh token, the user's groups and e-mail
//!    address, and the time.
//! 4. Okta's refusal of the user (`okta::refusal`) revokes the grant. After any other failure refreshes succeed until
//!    `okta_grace` after the last successful revalidation. Then they return 503, which costs no client its tokens;
//!    but a fault of the app's settings that a new login may avoid revokes the grant, so that the user signs in again.
//!
//! A client waits at most three seconds. The revalidation continues without it, so that a late response and the
//! refresh token in it are not lost. If a response is lost nevertheless (broken connection, process exit), Okta may
//! have rotated the token. Okta accepts the old one for the grace period of its app, at most 60 seconds; later it
//! detects token reuse, revokes the token and returns `invalid_grant`. The grant is then revoked here too and the
//! user signs in again: access never outlives Okta's consent, and nobody else ever had the lost token.

use crate::app::audit::Audit;
use crate::app::audit_subject::AuditSubject;
use crate::app::failure::{Failure, Outage};
use crate::app::rate_limit::Kind;
use crate::app::request::{HeaderText, Request};
use crate::app::state::Gateway;
use crate::base::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::base::secret::Secret;
use crate::grants::Grant;
use crate::oauth::error::OAuthError;
use crate::okta::{OktaError, Revalidated};
use crate::store::{GrantId, Key, Unavailable};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Minimum time between two revalidations of a grant.
const MIN_INTERVAL: Duration = Duration::from_mins(1);
/// Maximum time that a client waits for Okta.
const CLIENT_WAIT: Duration = Duration::from_secs(3);
/// Delay before a waiting refresh first polls the grant; it doubles with each poll.
const MIN_POLL_DELAY: Duration = Duration::from_millis(50);
const MAX_POLL_DELAY: Duration = Duration::from_millis(400);
/// Delay before the first retry to store Okta's new refresh token; it doubles with each retry.
const WRITE_RETRY_DELAY: Duration = Duration::from_millis(200);
const MAX_WRITE_RETRIES: u32 = 5;

/// Validity of a grant's user at Okta.
enum UserStatus {
    /// Valid within the last minute, or no query is needed: the grant has ended or has no refresh token of Okta.
    Valid,
    /// Okta is unavailable.
    Unknown {
        /// Time of the last successful revalidation.
        since: Timestamp,
        /// Error of the query, unless it was an earlier one or is still in progress.
        error: Option<OktaError>,
    },
    /// The grant is revoked because of this error.
    Revoked(OktaError),
}

/// Revalidates the user of a grant before its refresh. `grant` is what the refresh has just read from the store.
///
/// # Errors
/// `invalid_grant` when Okta has revoked the user's access; 503 when Okta has been unavailable for longer than
/// `okta_grace`, or the store is unavailable.
pub(super) async fn before_refresh(
    request: Request<'_>,
    id: GrantId,
    grant: Arc<Grant>,
) -> Result<(), Failure> {
    let gateway = request.gateway;
    let since = grant.checked_at;
    let revalidation = Arc::new(Revalidation {
        gateway: Arc::clone(gateway),
        id,
        holder: Key(gateway.credentials.random()),
        request_id: request.head.request_id.clone(),
        address: request.head.address_text.clone(),
    });
    let status = match timeout(CLIENT_WAIT, revalidation.run(grant)).await {
        Ok(status) => status?,
        Err(_) => UserStatus::Unknown { since, error: Some(OktaError::no_response(CLIENT_WAIT)) },
    };
    match status {
        UserStatus::Valid => Ok(()),
        UserStatus::Unknown { since, error } if is_within(gateway, since, gateway.site.okta_grace) => {
            if let Some(error) = error {
                Failure::from(Outage::Revalidation(Some(error))).note(request, Kind::Token);
            }
            Ok(())
        }
        UserStatus::Unknown { error, .. } => Err(Outage::Revalidation(error).into()),
        UserStatus::Revoked(error) => {
            let description = format!("{}: sign in again", revocation_reason(&error));
            if error.needs_administrator() {
                Failure::from(Outage::Revalidation(Some(error))).note(request, Kind::Token);
            }
            Err(OAuthError::invalid_grant(description).into())
        }
    }
}

/// Returns the reason for which a grant is revoked after this error.
const fn revocation_reason(error: &OktaError) -> &'static str {
    match error {
        OktaError::Refused { .. } => "Okta does not let this user in any more",
        _ => "Okta could not confirm this user for longer than okta_grace",
    }
}

/// Returns `true` if `at` is less than `max_age` ago by the shared clock of all replicas. A time further in the
/// future than the allowed clock skew comes from a wrong clock and is not accepted.
fn is_within(gateway: &Gateway, at: Timestamp, max_age: Duration) -> bool {
    let now = gateway.store.clock().now();
    now.since(at) < max_age && at.since(now) <= MAX_CLOCK_SKEW
}

/// A revalidation on behalf of one refresh; it owns its data, because it may outlive the request.
struct Revalidation {
    gateway: Arc<Gateway>,
    id: GrantId,
    /// Identifies this revalidation as the holder of the lease.
    holder: Key,
    request_id: HeaderText,
    address: HeaderText,
}

impl Revalidation {
    /// Queries Okta, or waits for the lease holder's result (step 2).
    async fn run(self: &Arc<Self>, grant: Arc<Grant>) -> Result<UserStatus, Unavailable> {
        let since = grant.checked_at;
        let mut known = Some(grant);
        let mut delay = MIN_POLL_DELAY;
        loop {
            let (owned, known) = (Arc::clone(self), known.take());
            // A separate task: it continues after the client's timeout.
            let Some(attempted) = self.gateway.on_control(async move { owned.attempt(known).await }).await
            else {
                return Ok(UserStatus::Unknown { since, error: Some(OktaError::aborted()) });
            };
            if let Some(status) = attempted? {
                return Ok(status);
            }
            sleep(delay).await;
            delay = MAX_POLL_DELAY.min(delay * 2);
        }
    }

    /// Queries Okta unless the last result is recent; `None` while another holder has the lease. A grant that the caller
    /// has just read is not read again.
    async fn attempt(&self, known: Option<Arc<Grant>>) -> Result<Option<UserStatus>, Unavailable> {
        let grant = match known {
            Some(grant) => Some(grant),
            None => self.grant().await?,
        };
        if let Some(status) = self.recent_status(grant.as_deref()) {
            return Ok(Some(status));
        }
        let grants = &self.gateway.grants;
        let status = match grants.begin_check(self.id, self.holder).await {
            Ok(false) => return Ok(None),
            Ok(true) => self.check_with_lease().await,
            // The response may be lost and the lease acquired: it is released, too.
            Err(unavailable) => Err(unavailable),
        };
        if let Err(error) = grants.end_check(self.id, self.holder).await {
            tracing::debug!(%error, "revalidation lease could not be released: it expires");
        }
        status.map(Some)
    }

    /// Queries Okta, unless the previous holder of the lease has finished in between.
    async fn check_with_lease(&self) -> Result<UserStatus, Unavailable> {
        let grant = self.grant().await?;
        match (self.recent_status(grant.as_deref()), grant) {
            (Some(status), _) => Ok(status),
            (None, Some(grant)) => self.query_okta(&grant).await,
            (None, None) => Ok(UserStatus::Valid),
        }
    }

    /// Returns the result of a recent revalidation (step 1). For a grant that has ended the rotation fails anyway.
    fn recent_status(&self, grant: Option<&Grant>) -> Option<UserStatus> {
        let Some(grant) = grant else { return Some(UserStatus::Valid) };
        if is_within(&self.gateway, grant.checked_at, MIN_INTERVAL) {
            return Some(UserStatus::Valid);
        }
        is_within(&self.gateway, grant.asked_at, MIN_INTERVAL)
            .then_some(UserStatus::Unknown { since: grant.checked_at, error: None })
    }

    /// Queries Okta as the holder of the lease (steps 3 and 4).
    async fn query_okta(&self, grant: &Grant) -> Result<UserStatus, Unavailable> {
        let Some(token) = &grant.okta_refresh_token else { return Ok(UserStatus::Valid) };
        let asked_at = self.gateway.store.clock().now();
        let user = &grant.subject.user().sub;
        match self.gateway.okta.revalidate(&Secret::new(token.as_str()), user).await {
            Ok(revalidated) => self.store_result(revalidated, asked_at).await,
            Err(error @ OktaError::Refused { .. }) => self.revoke(token, error, asked_at).await,
            Err(error)
                if error.new_login_may_work()
                    && !is_within(&self.gateway, grant.checked_at, self.gateway.site.okta_grace) =>
            {
                self.revoke(token, error, asked_at).await
            }
            Err(error) => self.record_outage(error, asked_at).await,
        }
    }

    /// Stores a successful revalidation. The write is retried while the store is unavailable, because Okta's new
    /// refresh token exists nowhere else.
    async fn store_result(
        &self,
        revalidated: Revalidated,
        asked_at: Timestamp,
    ) -> Result<UserStatus, Unavailable> {
        let Revalidated { refresh_token, profile } = revalidated;
        let change = |grant: &mut Grant| {
            grant.asked_at = asked_at;
            if let Some(token) = &refresh_token {
                grant.okta_refresh_token = Some(token.expose().to_owned());
            }
            if let Ok(profile) = &profile {
                grant.checked_at = asked_at;
                let user = grant.subject.user_mut();
                user.groups.clone_from(&profile.groups);
                user.email.clone_from(&profile.email);
            }
        };
        let mut retries = 0;
        let stored = loop {
            match self.gateway.grants.update(self.id, change).await {
                Ok(stored) => break stored,
                Err(unavailable) if retries == MAX_WRITE_RETRIES => {
                    tracing::error!(
                        error = %unavailable,
                        request_id = self.request_id.as_str(),
                        "result of a revalidation could not be stored: the user may have to sign in again"
                    );
                    return Err(unavailable);
                }
                Err(_) => sleep(WRITE_RETRY_DELAY * 2_u32.pow(retries)).await,
            }
            retries += 1;
        };
        Ok(match (profile, stored) {
            (Err(error), Some(grant)) => UserStatus::Unknown { since: grant.checked_at, error: Some(error) },
            _ => UserStatus::Valid,
        })
    }

    /// Revokes the grant after Okta's refusal, unless another replica has replaced the refused token.
    async fn revoke(
        &self,
        token: &str,
        error: OktaError,
        asked_at: Timestamp,
    ) -> Result<UserStatus, Unavailable> {
        let Some(grant) = self.grant().await? else { return Ok(UserStatus::Valid) };
        if grant.okta_refresh_token.as_deref() != Some(token) {
            let error = OktaError::Invalid("it refused a refresh token that has been replaced".into());
            return self.record_outage(error, asked_at).await;
        }
        if self.gateway.grants.revoke(self.id).await? {
            AuditSubject::from(&*grant).record(Audit {
                event: "revocation",
                request_id: self.request_id.as_str(),
                address: self.address.as_str(),
                reason: &format!("{}: {error}", revocation_reason(&error)),
                ..Audit::default()
            });
        }
        Ok(UserStatus::Revoked(error))
    }

    /// Records a failed query, so that the next one is not made within a minute.
    async fn record_outage(&self, error: OktaError, asked_at: Timestamp) -> Result<UserStatus, Unavailable> {
        let grant = self.gateway.grants.update(self.id, |grant| grant.asked_at = asked_at).await?;
        Ok(grant.map_or(UserStatus::Valid, |grant| UserStatus::Unknown {
            since: grant.checked_at,
            error: Some(error),
        }))
    }

    async fn grant(&self) -> Result<Option<Arc<Grant>>, Unavailable> {
        self.gateway.grants.read(self.id).await
    }
}
