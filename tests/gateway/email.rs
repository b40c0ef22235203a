//! The forwarded e-mail address: one that Okta has verified, or none.

use crate::harness::{SiteBuilder, StoreKind, World, http};
use gateway_standins::okta::{ClaimsIn, EmailVerified, OktaOptions};
use serde_json::json;
use std::time::Duration;

const PATH: &str = "/mcp/raw/echo";

/// `X-Forwarded-Email` of a call with this token.
async fn forwarded_email(world: &World, token: &str) -> Option<String> {
    world.backend.clear_requests();
    assert_eq!(http().get(world.url(PATH)).bearer_auth(token).send().await.unwrap().status(), 200);
    let seen = world.backend.last().unwrap();
    assert!(seen.header("x-forwarded-user").is_some(), "the user is always forwarded");
    seen.header("x-forwarded-email").map(str::to_owned)
}

fn trust_email(site: SiteBuilder) -> SiteBuilder {
    site.set(|site| site.okta.trust_email = true)
}

/// Okta with these values of `email_verified` in ID tokens and userinfo.
fn okta_with_email_verified(id_token: EmailVerified, userinfo: EmailVerified) -> OktaOptions {
    OktaOptions {
        id_token_email_verified: id_token,
        userinfo_email_verified: userinfo,
        ..OktaOptions::default()
    }
}

#[tokio::test]
async fn only_a_verified_email_address_is_forwarded() {
    let no = || EmailVerified::Claim(json!(false));
    for (options, is_forwarded) in [
        (okta_with_email_verified(EmailVerified::Absent, EmailVerified::Absent), false),
        (okta_with_email_verified(EmailVerified::Absent, no()), false),
        (okta_with_email_verified(no(), no()), false),
        (okta_with_email_verified(EmailVerified::Absent, EmailVerified::Directory), true),
        (OktaOptions { claims_in: ClaimsIn::UserInfo, ..OktaOptions::default() }, true),
        (OktaOptions { claims_in: ClaimsIn::UserInfo, ..okta_with_email_verified(no(), no()) }, false),
    ] {
        let case = format!("{options:?}");
        let world = World::with_okta(options, StoreKind::Embedded, |site| site).await;
        let (_, tokens) = world.sign_in(PATH, "alice").await;
        let expected = is_forwarded.then_some("alice@example.com");
        assert_eq!(forwarded_email(&world, &tokens.access_token).await.as_deref(), expected, "{case}");
    }
}

#[tokio::test]
async fn trust_email_forwards_unverified_addresses() {
    for claim in [EmailVerified::Absent, EmailVerified::Claim(json!(false))] {
        let world = World::with_okta(
            okta_with_email_verified(claim.clone(), claim),
            StoreKind::Embedded,
            trust_email,
        )
        .await;
        let (_, tokens) = world.sign_in(PATH, "alice").await;
        assert_eq!(forwarded_email(&world, &tokens.access_token).await.as_deref(), Some("alice@example.com"));
    }
}

#[tokio::test]
async fn the_email_address_is_updated_at_a_refresh() {
    let world = World::with_manual_clock(|site| site).await;
    let (client, mut tokens) = world.sign_in(PATH, "alice").await;
    assert_eq!(forwarded_email(&world, &tokens.access_token).await.as_deref(), Some("alice@example.com"));
    // Alice's new address in the directory is Carol's.
    for (email, verified) in
        [("carol@example.com", false), ("alice@example.org", true), ("carol@example.com", false)]
    {
        world.okta.set_email("alice", email, verified);
        world.clock.advance(Duration::from_mins(1));
        tokens = client.refresh(tokens.refresh_token.as_ref().unwrap()).await.unwrap();
        assert_eq!(forwarded_email(&world, &tokens.access_token).await.as_deref(), verified.then_some(email));
    }
}
