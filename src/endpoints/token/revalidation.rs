//! Revalidation of the user at Okta before a refresh token is rotated.
//!
//! 1. A check counts for all grants of the user, on all replicas, for `okta_recheck`; a login is a check. After a failed
//!    query Okta is not queried again for a minute. Only a failure that ends the grant (step 5) is confirmed by another
//!    query when `okta_grace` ends within that minute.
//! 2. Among all replicas, only the holder of the user's lease queries Okta; concurrent refreshes wait for the result.
//!    Okta's refresh token of a grant is therefore never sent twice concurrently.
//! 3. Okta's new refresh token is written to the grant whose token was used, with groups, e-mail address and time. The
//!    same result is then stored for the user; the other grants take it over at their next refresh.
//! 4. Okta's refusal of the user (`okta::refusal`) revokes the grant, and the user's other grants at their next refresh
//!    until a new login. `invalid_grant` may be about one token, which expired unused or whose successor was lost: the
//!    other grants are then due at once, and end when a second token is refused (`grants::UserCheck::refuse_token`).
//! 5. After any other failure refreshes succeed until `okta_grace` after the last successful check. Then they return 503,
//!    which costs no client its tokens; but a fault of the app's settings that a new login may avoid revokes the grants,
//!    so that the user signs in again.
//! 6. Okta's refresh tokens expire when they are not used, by default after seven days. A grant whose token was not used
//!    for a day reserves the next check of the user for it.
//!
//! A client waits at most three seconds. The revalidation continues without it, so that a late response and the
//! refresh token in it are not lost. If a response is lost nevertheless (broken connection, process exit), Okta may
//! have rotated the token. Okta accepts the old one for the grace period of its app, at most 60 seconds; later it
//! detects token reuse, revokes the token and returns `invalid_grant`. The grant is then revoked here too and the
//! user signs in again: access never outlives Okta's consent, and nobody else ever had the lost token.

mod query;

use crate::app::audit::Audit;
use crate::app::audit_subject::AuditSubject;
use crate::app::failure::{Failure, Outage};
use crate::app::rate_limit::Kind;
use crate::app::request::{HeaderText, Request};
use crate::app::state::Gateway;
use crate::base::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::grants::{Grant, Lease, RefusalReason, UserCheck};
use crate::oauth::error::OAuthError;
use crate::okta::OktaError;
use crate::store::{GrantId, Key, Unavailable};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Minimum time between a failed query of Okta and the next one for the same user.
const RETRY_INTERVAL: Duration = Duration::from_mins(1);
/// Time without use after which a refresh token of Okta is to be used at the next check of its user.
const MAX_TOKEN_IDLE: Duration = Duration::from_hours(24);
/// Minimum time between two checks of a user for the sake of unused refresh tokens.
const MIN_TOKEN_USE_INTERVAL: Duration = Duration::from_mins(10);
/// Maximum time that a client waits for Okta.
const CLIENT_WAIT: Duration = Duration::from_secs(3);
/// Delay before a waiting refresh first polls the result; it doubles with each poll.
const MIN_POLL_DELAY: Duration = Duration::from_millis(50);
const MAX_POLL_DELAY: Duration = Duration::from_millis(400);

/// Validity of a grant's user at Okta.
enum UserStatus {
    /// Valid within `okta_recheck`, or no query is needed: the grant has ended or has no refresh token of Okta.
    Valid,
    /// Okta is unavailable.
    Unknown {
        /// Time of the last successful check.
        since: Timestamp,
        /// Error of the query, unless it was an earlier one or is still in progress.
        error: Option<OktaError>,
    },
    /// The grant is revoked.
    Revoked {
        /// Reason of the revocation.
        reason: RefusalReason,
        /// Error of the query, unless another grant's led to it.
        error: Option<OktaError>,
    },
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
    let checked_at = grant.checked_at;
    let revalidation = Arc::new(Revalidation {
        gateway: Arc::clone(gateway),
        id,
        sub: grant.subject.user().sub.clone(),
        holder: Key(gateway.credentials.random()),
        request_id: request.head.request_id.clone(),
        address: request.head.address_text.clone(),
    });
    let status = match timeout(CLIENT_WAIT, revalidation.run(grant)).await {
        Ok(status) => status?,
        Err(_) => UserStatus::Unknown {
            since: checked_at.max(gateway.grants.user_check(&revalidation.sub).await?.checked_at),
            error: Some(OktaError::no_response(CLIENT_WAIT)),
        },
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
        UserStatus::Revoked { reason, error } => {
            if let Some(error) = error.filter(OktaError::needs_administrator) {
                Failure::from(Outage::Revalidation(Some(error))).note(request, Kind::Token);
            }
            Err(OAuthError::invalid_grant(format!("{}: sign in again", describe(reason))).into())
        }
    }
}

/// Describes the reason for which a grant is revoked.
const fn describe(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::Refused => "Okta does not let this user in any more",
        RefusalReason::Unconfirmed => "Okta could not confirm this user for longer than okta_grace",
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
    /// Grant of the refresh.
    id: GrantId,
    /// User of the grant.
    sub: String,
    /// Identifies this revalidation as the holder of the leases.
    holder: Key,
    request_id: HeaderText,
    address: HeaderText,
}

/// Result that is known without a query.
enum Recent {
    Valid,
    Unknown { since: Timestamp },
    Refused(RefusalReason),
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

    /// Queries Okta unless the last result is recent; `None` while another holder has the lease, or after a query for
    /// another grant. A grant that the caller has just read is not read again.
    async fn attempt(&self, known: Option<Arc<Grant>>) -> Result<Option<UserStatus>, Unavailable> {
        let grant = match known {
            Some(grant) => Some(grant),
            None => self.gateway.grants.read(self.id).await?,
        };
        // For a grant that has ended the rotation fails anyway.
        let Some(grant) = grant else { return Ok(Some(UserStatus::Valid)) };
        let check = self.gateway.grants.user_check(&self.sub).await?;
        match self.recent_status(&grant, &check) {
            Some(recent) => self.apply(recent, &grant, &check).await.map(Some),
            None => self.with_lease(Lease::User(&self.sub), Box::pin(self.check_with_lease())).await,
        }
    }

    /// Runs a check while holding its lease; `None` while another holder has it.
    async fn with_lease(
        &self,
        lease: Lease<'_>,
        check: impl Future<Output = Result<Option<UserStatus>, Unavailable>> + Send,
    ) -> Result<Option<UserStatus>, Unavailable> {
        let grants = &self.gateway.grants;
        let status = match grants.begin_check(lease, self.holder).await {
            Ok(false) => return Ok(None),
            Ok(true) => check.await,
            // The response may be lost and the lease acquired: it is released, too.
            Err(unavailable) => Err(unavailable),
        };
        if let Err(error) = grants.end_check(lease, self.holder).await {
            tracing::debug!(%error, "revalidation lease could not be released: it expires");
        }
        status
    }

    /// Returns the result of a recent check, by whichever grant (step 1); `None` if a query is due.
    fn recent_status(&self, grant: &Grant, check: &UserCheck) -> Option<Recent> {
        let okta_recheck = self.gateway.site.okta_recheck;
        let is_recent = |at, max_age| is_within(&self.gateway, at, max_age);
        // A login or check of this grant itself is newer than some refusals.
        let applies = |at: Timestamp| at > grant.checked_at && is_recent(at, okta_recheck);
        if let Some(refusal) = check.refusal.filter(|refusal| applies(refusal.at)) {
            return Some(Recent::Refused(refusal.reason));
        }
        let since = grant.checked_at.max(check.checked_at);
        let is_doubtful = check.token_refusal.is_some_and(|refusal| applies(refusal.at));
        let max_age = check.next.map_or(okta_recheck, |_| okta_recheck.min(MIN_TOKEN_USE_INTERVAL));
        if !is_doubtful && is_recent(since, max_age) {
            return Some(Recent::Valid);
        }
        let failed_here = Some(grant.asked_at).filter(|asked_at| *asked_at > grant.checked_at);
        let failed_at = failed_here.map_or(check.failed_at, |failed_here| failed_here.max(check.failed_at));
        // At the end of the grace such a failure is confirmed at once: it ends the grant.
        let is_due = check.needs_new_login && !is_recent(since, self.gateway.site.okta_grace);
        (!is_due && is_recent(failed_at, RETRY_INTERVAL)).then_some(Recent::Unknown { since })
    }

    /// Applies the result of a recent check to the grant.
    async fn apply(
        &self,
        recent: Recent,
        grant: &Grant,
        check: &UserCheck,
    ) -> Result<UserStatus, Unavailable> {
        let grants = &self.gateway.grants;
        match recent {
            Recent::Unknown { since } => Ok(UserStatus::Unknown { since, error: None }),
            Recent::Refused(reason) => {
                self.revoke(self.id, grant, reason, None).await?;
                Ok(UserStatus::Revoked { reason, error: None })
            }
            Recent::Valid => {
                // The time alone is not worth a write, unless much of the grace would be lost with the user's record.
                let lag = check.checked_at.since(grant.checked_at);
                if check.changes_profile_of(grant) || lag > self.gateway.site.okta_grace / 2 {
                    grants.update(self.id, |grant| check.apply_to(grant)).await?;
                }
                let idle = self.gateway.store.clock().now().since(grant.asked_at);
                if grant.okta_refresh_token.is_some() && idle >= MAX_TOKEN_IDLE && check.next.is_none() {
                    let reserve = |check: &mut UserCheck| check.next = check.next.or(Some(self.id));
                    grants.update_user_check(&self.sub, reserve).await?;
                }
                Ok(UserStatus::Valid)
            }
        }
    }

    /// Revokes a grant of the user, and records it unless it had ended before. `error` is that of Okta, if this request
    /// got one.
    async fn revoke(
        &self,
        id: GrantId,
        grant: &Grant,
        reason: RefusalReason,
        error: Option<&OktaError>,
    ) -> Result<(), Unavailable> {
        if self.gateway.grants.revoke(id).await? {
            let text = describe(reason);
            AuditSubject::from(grant).record(Audit {
                event: "revocation",
                request_id: self.request_id.as_str(),
                address: self.address.as_str(),
                reason: &error.map_or_else(|| text.to_owned(), |error| format!("{text}: {error}")),
                ..Audit::default()
            });
        }
        Ok(())
    }
}
