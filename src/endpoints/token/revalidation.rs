//! The user is re-checked at Okta before a refresh token rotates, told once.
//!
//! 1. Okta is asked at most once a minute about a grant, whether it answers or not. In between, what it said last
//!    counts. A login is a check too.
//! 2. One asks for all: whoever has the grant's lease, on whatever replica. The others wait for what it writes to
//!    the grant. So Okta's refresh token is never sent twice at once, and racing refreshes go on together.
//! 3. What Okta says is written to the grant in one step: its new refresh token, the user's groups and e-mail
//!    address, and the time.
//! 4. Only Okta's `invalid_grant` ends the grant. Anything else is an outage: refreshes go on until `okta_grace`
//!    after Okta last let the user in, and then are a 503, which costs no client its tokens.
//!
//! A client waits three seconds. The question goes on without it, so that a late answer is not lost, nor is the
//! token in it. An answer that is lost all the same (the connection broke, this process died) may have rotated
//! Okta's token: Okta takes the old one again for the grace period of its app, 60 seconds at the most, and later
//! takes it for stolen, ends it and says `invalid_grant`. That ends the grant here too: one new sign-in, and never a
//! user who is in without Okta's knowing. Nobody else ever had the lost token.

use crate::app::audit::Audit;
use crate::app::reply::Failure;
use crate::app::request::{HeaderText, RequestHead};
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

/// Between two questions about one grant.
const MIN_INTERVAL: Duration = Duration::from_mins(1);
/// How long a client waits for Okta.
const CLIENT_WAIT: Duration = Duration::from_secs(3);
/// When those who wait first look whether the one who asks is done; each pause is twice as long as the one before.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const MAX_POLL_DELAY: Duration = Duration::from_millis(400);
/// The first pause before Okta's new token is written again; each one is twice as long.
const WRITE_AGAIN: Duration = Duration::from_millis(200);
const WRITES: u32 = 5;

/// What is known of the user of a grant.
enum UserStatus {
    /// Okta let them in within the last minute; or there is nothing to ask, since the grant has ended or has no token of
    /// Okta's.
    Good,
    /// Okta did not answer; it let them in at this time.
    Unknown(Timestamp),
    /// Okta does not let them in any more; the grant has been revoked.
    Ended,
}

/// Re-checks the user of a grant that is to be refreshed.
///
/// # Errors
/// `invalid_grant` when Okta does not let the user in any more; 503 when it has not answered for too long, or the
/// store does not.
pub(super) async fn before_refresh(
    gateway: &Arc<Gateway>,
    head: &RequestHead,
    (id, grant): (GrantId, &Grant),
) -> Result<(), Failure> {
    let check = Arc::new(Check {
        gateway: Arc::clone(gateway),
        id,
        holder: Key(gateway.credentials.random()),
        request_id: head.request_id.clone(),
        from: head.from.clone(),
    });
    let standing = match timeout(CLIENT_WAIT, check.settle()).await {
        Ok(standing) => standing?,
        Err(_) => UserStatus::Unknown(grant.checked_at),
    };
    match standing {
        UserStatus::Good => Ok(()),
        UserStatus::Unknown(since) if is_within(gateway, since, gateway.site.okta_grace) => Ok(()),
        UserStatus::Unknown(_) => Err(Failure::Unavailable(
            "Okta has not been able to say for too long whether a user is still in".into(),
        )),
        UserStatus::Ended => {
            Err(OAuthError::invalid_grant("Okta does not let this user in any more: sign in again").into())
        }
    }
}

/// Whether this was less than so long ago, by the clock that all replicas share. What lies further ahead than clocks may
/// differ was written by a wrong one, and does not count.
fn is_within(gateway: &Gateway, at: Timestamp, span: Duration) -> bool {
    let now = gateway.store.clock().now();
    now.since(at) < span && at.since(now) <= MAX_CLOCK_SKEW
}

/// One refresh that waits, and all that its question needs when it goes on without it.
struct Check {
    gateway: Arc<Gateway>,
    id: GrantId,
    /// Names this one among those who want the lease.
    holder: Key,
    request_id: HeaderText,
    from: HeaderText,
}

impl Check {
    /// Step 2: asks, or waits for the one who does.
    async fn settle(self: &Arc<Self>) -> Result<UserStatus, Unavailable> {
        let mut pause = LOOK_AGAIN;
        loop {
            let asking = Arc::clone(self);
            // A task of its own: it goes on when this one has no more patience.
            if let Some(asked) = self.gateway.on_control(async move { asking.ask().await }).await
                && let Some(standing) = asked?
            {
                return Ok(standing);
            }
            sleep(pause).await;
            pause = MAX_POLL_DELAY.min(pause * 2);
        }
    }

    /// Asks Okta, unless what it said last still counts; `None` while somebody else is asking.
    async fn ask(&self) -> Result<Option<UserStatus>, Unavailable> {
        if let Some(standing) = self.known().await? {
            return Ok(Some(standing));
        }
        let grants = &self.gateway.grants;
        if !grants.begin_check(self.id, self.holder).await? {
            return Ok(None);
        }
        // The one who had the lease before may have been done just now.
        let standing = match self.known().await {
            Ok(None) => self.ask_okta().await,
            Ok(Some(standing)) => Ok(standing),
            Err(unavailable) => Err(unavailable),
        };
        if let Err(error) = grants.end_check(self.id, self.holder).await {
            tracing::debug!(%error, "a lease was not given back: it ends by itself");
        }
        standing.map(Some)
    }

    /// Step 1. A grant that has ended needs no check: the rotation will say so.
    async fn known(&self) -> Result<Option<UserStatus>, Unavailable> {
        let Some(grant) = self.grant().await? else { return Ok(Some(UserStatus::Good)) };
        Ok(if is_within(&self.gateway, grant.checked_at, MIN_INTERVAL) {
            Some(UserStatus::Good)
        } else {
            is_within(&self.gateway, grant.asked_at, MIN_INTERVAL)
                .then_some(UserStatus::Unknown(grant.checked_at))
        })
    }

    /// Steps 3 and 4, by the one who has the lease.
    async fn ask_okta(&self) -> Result<UserStatus, Unavailable> {
        let Some(grant) = self.grant().await? else { return Ok(UserStatus::Good) };
        let Some(token) = &grant.okta_refresh_token else { return Ok(UserStatus::Good) };
        let asked_at = self.gateway.store.clock().now();
        let user = &grant.subject.user().sub;
        match self.gateway.okta.revalidate(&Secret::new(token.as_str()), user).await {
            Ok(rechecked) => self.keep(rechecked, asked_at).await,
            Err(OktaError::Refused { error, .. }) if error == "invalid_grant" => {
                self.end(token, asked_at).await
            }
            Err(error) => self.unanswered(&error, asked_at).await,
        }
    }

    /// Okta let the user in. Its new token is written again when the store fails, since there is no other copy.
    async fn keep(&self, rechecked: Revalidated, asked_at: Timestamp) -> Result<UserStatus, Unavailable> {
        let Revalidated { refresh_token, profile } = rechecked;
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
        let mut tries = 0;
        let kept = loop {
            match self.gateway.grants.update(self.id, change).await {
                Ok(kept) => break kept,
                Err(unavailable) if tries == WRITES => {
                    tracing::error!(%unavailable, "what Okta said could not be kept: a user may have to sign in again");
                    return Err(unavailable);
                }
                Err(_) => sleep(WRITE_AGAIN * 2_u32.pow(tries)).await,
            }
            tries += 1;
        };
        Ok(match (profile, kept) {
            (Err(error), Some(grant)) => {
                tracing::warn!(%error, "Okta lets a user in, but does not tell their groups or address");
                UserStatus::Unknown(grant.checked_at)
            }
            _ => UserStatus::Good,
        })
    }

    /// Okta does not let the user in any more; or it spoke of a token that another replica has replaced meanwhile.
    async fn end(&self, token: &str, asked_at: Timestamp) -> Result<UserStatus, Unavailable> {
        let Some(grant) = self.grant().await? else { return Ok(UserStatus::Good) };
        if grant.okta_refresh_token.as_deref() != Some(token) {
            let error = OktaError::Untrustworthy("it refused a token that had been replaced".into());
            return self.unanswered(&error, asked_at).await;
        }
        self.gateway.grants.revoke(self.id).await?;
        Audit {
            event: "revocation",
            request_id: self.request_id.as_str(),
            address: self.from.as_str(),
            user: &grant.subject.user().sub,
            client: &grant.client_name,
            client_id: &grant.client_id,
            route: &grant.route,
            reason: "Okta does not let this user in any more",
            ..Audit::default()
        }
        .record();
        Ok(UserStatus::Ended)
    }

    async fn unanswered(&self, error: &OktaError, asked_at: Timestamp) -> Result<UserStatus, Unavailable> {
        tracing::warn!(%error, "a user could not be re-checked");
        let grant = self.gateway.grants.update(self.id, |grant| grant.asked_at = asked_at).await?;
        Ok(grant.map_or(UserStatus::Good, |grant| UserStatus::Unknown(grant.checked_at)))
    }

    async fn grant(&self) -> Result<Option<Arc<Grant>>, Unavailable> {
        self.gateway.grants.read(self.id).await
    }
}
