//! Rate limits of requests to the token and revocation endpoints.
//!
//! 1. A request without a code or refresh token that this gateway has issued counts against its address and its client.
//!    Their tags are verified first: that costs no access to the store.
//! 2. One with such a credential is looked up, and counts against its grant if the credential is valid. Many users share
//!    an address, and each has many grants.
//! 3. Where the credential turns out to be invalid (expired, used or revoked, of another client, or the client fails to
//!    authenticate), the request counts against its address after all.
//! 4. At an address over its limit, the credential is looked up before anything else, and only a valid one goes on. The
//!    lookups of one credential are limited, too.
//!
//! A client assertion proves no user: whoever registers a key can sign any number. It does not change what is counted.

use super::ClaimedClient;
use crate::app::failure::Failure;
use crate::app::rate_limit::Kind;
use crate::app::request::Request;
use crate::app::state::Gateway;
use crate::base::ids::GrantId;
use crate::base::ids::Key;
use crate::base::secret::Secret;
use crate::credential::{self, RefreshToken};
use crate::oauth::error::ErrorCode;
use crate::oauth::parameters::Parameters;
use crate::store::Unavailable;

/// Counter of an admitted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Address and client: the request has no credential of this gateway.
    Address,
    /// Grant, once the credential is known to be valid; until then, none.
    Grant,
    /// None any more: the request is counted.
    Counted,
}

/// Credential that this gateway has issued; it may have been used or revoked, or have expired.
enum OwnCredential {
    RefreshToken(RefreshToken),
    Code(Key),
}

impl Admission {
    /// Decides what a request counts against, and checks that limit.
    ///
    /// # Errors
    /// 429 over the limit; 503 when the store cannot be asked about the credential.
    pub(super) async fn check(
        request: Request<'_>,
        kind: Kind,
        claimed: Option<(&ClaimedClient, &Parameters)>,
    ) -> Result<Self, Failure> {
        let client_id = claimed.map(|(client, _)| client.client_id.as_str());
        let own = claimed.and_then(|(client, form)| {
            Some((OwnCredential::find(request.gateway, kind, form)?, client.client_id.as_str()))
        });
        let Some((credential, client_id)) = own else {
            request.rate_limit(kind, client_id).await?;
            return Ok(Self::Address);
        };
        request.gateway.limits.count_credential(kind, credential.id())?;
        if let Err(too_many) = request.check_rate_limit(kind, Some(client_id))
            && !credential.is_valid(request.gateway, kind, client_id).await?
        {
            return Err(too_many.into());
        }
        Ok(Self::Grant)
    }

    /// Counts a request against the grant of its credential, which is valid.
    ///
    /// # Errors
    /// 429 over the limit.
    pub async fn count_by_grant(
        &mut self,
        request: Request<'_>,
        kind: Kind,
        id: GrantId,
    ) -> Result<(), Failure> {
        request.gateway.limits.count_grant(kind, id).await?;
        if *self == Self::Grant {
            *self = Self::Counted;
        }
        Ok(())
    }

    /// Counts a request against its address after its credential or its client turned out to be invalid; returns the
    /// failure to respond with.
    pub async fn after_failure(
        mut self,
        request: Request<'_>,
        kind: Kind,
        client_id: &str,
        failure: Failure,
    ) -> Failure {
        let is_invalid = matches!(
            &failure,
            Failure::OAuth(error) if matches!(error.code, ErrorCode::InvalidGrant | ErrorCode::InvalidClient)
        );
        if !is_invalid {
            return failure;
        }
        self.count_by_address(request, kind, client_id).await.err().unwrap_or(failure)
    }

    /// Counts a request with an invalid credential against its address, unless it was counted before.
    ///
    /// # Errors
    /// 429 over the limit.
    pub async fn count_by_address(
        &mut self,
        request: Request<'_>,
        kind: Kind,
        client_id: &str,
    ) -> Result<(), Failure> {
        if *self == Self::Grant {
            request.rate_limit(kind, Some(client_id)).await?;
            *self = Self::Counted;
        }
        Ok(())
    }

    /// Counts a request with a code that had been used against its address, in addition to its grant: that was known only
    /// after the code had been redeemed.
    pub async fn count_used_code(self, request: Request<'_>, client_id: &str) {
        if self == Self::Counted {
            // The response to this request says that the code was used; the limit applies to the next one.
            let _over_the_limit = request.rate_limit(Kind::Token, Some(client_id)).await;
        }
    }
}

impl OwnCredential {
    /// Returns the credential of a form if this gateway has issued it.
    fn find(gateway: &Gateway, kind: Kind, form: &Parameters) -> Option<Self> {
        let refresh_token = |name| {
            let token = gateway.credentials.open_refresh_token(&Secret::new(form.get(name)?))?;
            Some(Self::RefreshToken(token))
        };
        if kind == Kind::Revocation {
            return refresh_token("token");
        }
        match form.get("grant_type")? {
            "refresh_token" => refresh_token("refresh_token"),
            "authorization_code" => {
                let code = form.get("code").filter(|code| gateway.credentials.is_own_code(code))?;
                Some(Self::Code(credential::digest(code)))
            }
            _ => None,
        }
    }

    /// Returns the id of the credential itself: a used refresh token must not use up the limit of its successor.
    fn id(&self) -> Key {
        match self {
            Self::RefreshToken(RefreshToken { grant, generation }) => {
                credential::digest(&format!("{grant}/{generation}"))
            }
            Self::Code(key) => *key,
        }
    }

    /// Returns whether the store knows the credential as this client's, and as usable. Changes nothing.
    async fn is_valid(&self, gateway: &Gateway, kind: Kind, client_id: &str) -> Result<bool, Unavailable> {
        let grants = &gateway.grants;
        Ok(match self {
            Self::RefreshToken(RefreshToken { grant, generation }) => {
                let presented = grants.presented(*grant, *generation).await?;
                presented.is_some_and(|presented| {
                    let is_usable = presented.is_refreshable || kind == Kind::Revocation;
                    is_usable && presented.grant.client_id == client_id
                })
            }
            Self::Code(key) => match grants.code(*key).await? {
                // Its grant exists once it was redeemed.
                Some(code) if code.request.client_id == client_id => grants.read(code.grant).await?.is_none(),
                _ => false,
            },
        })
    }
}
