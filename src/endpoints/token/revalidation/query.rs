//! Query of Okta by the holder of the user's lease (steps 3 to 6 of the parent module).

use super::{Revalidation, UserStatus, is_within};
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::grants::{Grant, Lease, Refusal, RefusalReason, User, UserCheck};
use crate::okta::{OktaError, Revalidated};
use crate::store::{GrantId, Unavailable};
use std::time::Duration;
use tokio::time::sleep;

/// Delay before the first retry to store Okta's new refresh token; it doubles with each retry.
const WRITE_RETRY_DELAY: Duration = Duration::from_millis(200);
const MAX_WRITE_RETRIES: u32 = 5;

/// Query with the refresh token of a grant.
struct Query {
    /// Grant whose token is used: that of the refresh, or another one of the user.
    id: GrantId,
    token: String,
    asked_at: Timestamp,
    /// Time of the last successful check of the user.
    since: Timestamp,
}

impl Revalidation {
    /// Queries Okta, unless the previous holder of the lease has finished in between.
    pub(super) async fn check_with_lease(&self) -> Result<Option<UserStatus>, Unavailable> {
        let grants = &self.gateway.grants;
        let Some(grant) = grants.read(self.id).await? else { return Ok(Some(UserStatus::Valid)) };
        let check = grants.user_check(&self.sub).await?;
        if let Some(recent) = self.recent_status(&grant, &check) {
            return self.apply(recent, &grant, &check).await.map(Some);
        }
        let id = check.next.unwrap_or(self.id);
        self.with_lease(Lease::Grant(id), Box::pin(self.query(id, &check))).await
    }

    /// Queries Okta with the token of this grant. `None` after a response to another grant's: the result is in the user's
    /// record.
    async fn query(&self, id: GrantId, check: &UserCheck) -> Result<Option<UserStatus>, Unavailable> {
        let found = self.gateway.grants.read(id).await?;
        // An earlier release, which has the grant's lease only, may have checked it in between.
        let has_result = |grant: &Grant| id == self.id && self.recent_status(grant, check).is_some();
        let usable = found.filter(|grant| grant.subject.user().sub == self.sub && !has_result(grant));
        let Some((grant, token)) = usable.and_then(|grant| {
            let token = grant.okta_refresh_token.clone()?;
            Some((grant, token))
        }) else {
            return self.skip(id).await;
        };
        let (asked_at, since) = (self.gateway.store.clock().now(), grant.checked_at.max(check.checked_at));
        let query = Query { id, token, asked_at, since };
        let status = match self.gateway.okta.revalidate(&Secret::new(&*query.token), &self.sub).await {
            Ok(revalidated) => self.store_result(&query, revalidated).await,
            Err(error @ OktaError::Refused { .. }) => {
                self.refused(&query, error, RefusalReason::Refused).await
            }
            Err(error)
                if error.new_login_may_work()
                    && !is_within(&self.gateway, since, self.gateway.site.okta_grace) =>
            {
                self.refused(&query, error, RefusalReason::Unconfirmed).await
            }
            Err(error) => self.failed(&query, error).await,
        }?;
        let is_result = id == self.id || matches!(status, UserStatus::Unknown { .. });
        Ok(Some(status).filter(|_| is_result))
    }

    /// Ends a check without a query: the grant has ended or has no token, or has a result by now.
    async fn skip(&self, id: GrantId) -> Result<Option<UserStatus>, Unavailable> {
        if id == self.id {
            let grant = self.gateway.grants.read(id).await?;
            let has_token = grant.is_some_and(|grant| grant.okta_refresh_token.is_some());
            return Ok(if has_token { None } else { Some(UserStatus::Valid) });
        }
        let release = |check: &mut UserCheck| check.next = check.next.filter(|next| *next != id);
        self.gateway.grants.update_user_check(&self.sub, release).await?;
        Ok(None)
    }

    /// Stores a successful query (step 3).
    async fn store_result(&self, query: &Query, revalidated: Revalidated) -> Result<UserStatus, Unavailable> {
        let Revalidated { refresh_token, profile } = revalidated;
        let change = |grant: &mut Grant| {
            grant.asked_at = query.asked_at;
            if let Some(token) = &refresh_token {
                grant.okta_refresh_token = Some(token.expose().to_owned());
            }
            if let Ok(profile) = &profile {
                grant.checked_at = query.asked_at;
                let user = grant.subject.user_mut();
                user.groups.clone_from(&profile.groups);
                user.email.clone_from(&profile.email);
            }
        };
        self.update_with_retries(query.id, change).await?;
        match profile {
            Ok(profile) => {
                let user = User { sub: self.sub.clone(), email: profile.email, groups: profile.groups };
                self.share(|check| check.confirm(&user, query.id, query.asked_at)).await;
                Ok(UserStatus::Valid)
            }
            Err(error) => {
                self.share(|check| check.fail(query.asked_at, false)).await;
                Ok(UserStatus::Unknown { since: query.since, error: Some(error) })
            }
        }
    }

    /// Changes the grant. The write is retried while the store is unavailable, because Okta's new refresh token exists
    /// nowhere else.
    async fn update_with_retries(&self, id: GrantId, change: impl Fn(&mut Grant)) -> Result<(), Unavailable> {
        let mut retries = 0;
        loop {
            match self.gateway.grants.update(id, &change).await {
                Ok(_) => return Ok(()),
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
        }
    }

    /// Stores a result for the user's other grants.
    async fn share(&self, change: impl Fn(&mut UserCheck)) {
        if let Err(error) = self.gateway.grants.update_user_check(&self.sub, change).await {
            tracing::debug!(%error, "result of a revalidation is not shared: other grants query Okta themselves");
        }
    }

    /// Revokes the grant after Okta's refusal (step 4), unless another replica has replaced the refused token.
    async fn refused(
        &self,
        query: &Query,
        error: OktaError,
        reason: RefusalReason,
    ) -> Result<UserStatus, Unavailable> {
        let Query { id, asked_at, .. } = *query;
        let Some(grant) = self.gateway.grants.read(id).await? else { return Ok(UserStatus::Valid) };
        if grant.okta_refresh_token.as_deref() != Some(&*query.token) {
            let error = OktaError::Invalid("it refused a refresh token that has been replaced".into());
            return self.failed(query, error).await;
        }
        self.revoke(id, &grant, reason, Some(&error)).await?;
        if error.is_about_token() {
            self.share(|check| check.refuse_token(id, asked_at)).await;
        } else {
            self.share(|check| check.refuse(Refusal { at: asked_at, reason })).await;
        }
        Ok(UserStatus::Revoked { reason, error: Some(error) })
    }

    /// Records a failed query, so that the next one is not made within a minute (step 5).
    async fn failed(&self, query: &Query, error: OktaError) -> Result<UserStatus, Unavailable> {
        self.share(|check| check.fail(query.asked_at, error.new_login_may_work())).await;
        self.gateway.grants.update(query.id, |grant| grant.asked_at = query.asked_at).await?;
        Ok(UserStatus::Unknown { since: query.since, error: Some(error) })
    }
}
