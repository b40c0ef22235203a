//! Revocations that nobody asked for: reuse of a code or a refresh token, and Okta's refusal of the user.

use super::{TARGET, assert_subject, code_request, named_with_user, refresh_request, world};
use crate::harness::SiteBuilder;
use crate::harness::events::Lines;
use gateway_routes::RefreshReuse;
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Login};
use std::time::Duration;

/// A refused `token` event beside a `revocation` event, both with client, route and user.
fn assert_revoked(lines: &Lines, client: &Client, reason: &str) {
    let events = lines.events();
    let kinds: Vec<_> = events.iter().map(|event| (&event["event"], &event["decision"])).collect();
    assert_eq!(kinds.len(), 2, "{lines:?}");
    assert!(kinds[0].0 == "revocation" && kinds[0].1 == "allowed", "{lines:?}");
    assert!(kinds[1].0 == "token" && kinds[1].1 == "refused", "{lines:?}");
    for event in &events {
        assert_subject(event, &named_with_user(client));
    }
    assert!(events[0]["reason"].as_str().unwrap().starts_with(reason), "{reason}: {}", events[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_code_leaves_a_revocation_event_once() {
    let world = world(|site| site).await;
    let client = world.client(TARGET).await;
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    assert_eq!(code_request(&world, &client, &code.code, &code.verifier).await.status, 200);
    let reused = code_request(&world, &client, &code.code, &code.verifier).await;
    assert_revoked(&reused.lines, &client, "reuse of the authorization code");
    let again = code_request(&world, &client, &code.code, &code.verifier).await;
    again.has_event("token", "refused", &named_with_user(&client));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_refresh_token_leaves_a_revocation_event_unless_it_is_only_refused() {
    for on_reuse in [RefreshReuse::Revoke, RefreshReuse::Refuse] {
        let world = world(|site: SiteBuilder| site.set(|site| site.refresh_reuse = on_reuse)).await;
        let (client, tokens) = world.sign_in(TARGET, "alice").await;
        let first = tokens.refresh_token.unwrap();
        let second = client.refresh(&first).await.unwrap().refresh_token.unwrap();
        client.refresh(&second).await.unwrap();
        let reused = refresh_request(&world, &client, &first, &[]).await;
        match on_reuse {
            RefreshReuse::Revoke => assert_revoked(&reused.lines, &client, "reuse of a refresh token"),
            RefreshReuse::Refuse => {
                reused.has_event("token", "refused", &named_with_user(&client));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whom_okta_refuses_leaves_a_revocation_event() {
    let world = world(|site| site).await;
    let (client, tokens) = world.sign_in(TARGET, "alice").await;
    world.okta.suspend("alice");
    world.clock.advance(Duration::from_mins(1));
    let refused = refresh_request(&world, &client, &tokens.refresh_token.unwrap(), &[]).await;
    assert_revoked(
        &refused.lines,
        &client,
        "Okta does not let this user in any more: Okta returned an error: invalid_grant",
    );
}
