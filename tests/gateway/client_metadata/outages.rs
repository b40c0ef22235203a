//! A client's web site that does not answer: who is logged in stays so.

use super::{SERVER, authorize, refused, sign_in};
use crate::harness::publishing::{HOST, PATH, document, publish};
use crate::harness::{Keep, World};
use gateway_standins::publisher::Answer;
use serde_json::json;
use std::time::{Duration, Instant};

/// Longer than any copy is fresh.
const DAY: Duration = Duration::from_hours(25);

#[tokio::test]
async fn a_document_that_cannot_be_fetched_is_503() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let id = publisher.url(HOST, PATH);
    let client = world.published(&id, SERVER).await;
    let good = Answer::json(&document(&id));
    for status in [500, 503, 429] {
        publisher.says(PATH, good.clone().status(status));
        let (status, error) = refused(&client).await;
        assert_eq!((status, error["error"].as_str()), (503, Some("temporarily_unavailable")));
    }
    publisher.is_down(true);
    assert_eq!(refused(&client).await.0, 503);
    let (status, page) = authorize(&client, "text/html").await;
    assert!(status == 503 && page.contains("This app cannot be looked up now"), "{status}");
    publisher.is_down(false);
    let nobodys = publisher.url("client.example.net", PATH);
    assert_eq!(
        refused(&world.published(&nobodys, SERVER).await).await.0,
        503,
        "its certificate is of others"
    );
    publisher.says(PATH, good);
    assert_eq!(authorize(&client, "text/html").await.0, 200);
}

#[tokio::test]
async fn a_document_fetch_times_out_after_five_seconds() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let id = publisher.url(HOST, PATH);
    publisher.says(PATH, Answer::json(&document(&id)).delay(Duration::from_secs(20)));
    let started = Instant::now();
    assert_eq!(refused(&world.published(&id, SERVER).await).await.0, 503);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_last_valid_document_is_used_while_a_fetch_fails() {
    let world = World::in_standing_time(|site| site).await;
    let (mut world, publisher) = world.and_a_publisher().await;
    let id = publish(&publisher, |_| {});
    let client = world.published(&id, SERVER).await;
    let mut token = sign_in(&client).await.refresh_token.unwrap();
    for (what, answer) in [
        ("away", None),
        ("gone", Some(Answer::text("text/html", "").status(404))),
        ("another's", Some(Answer::json(&document("https://other.example.com/client")))),
        ("of a secret", Some(Answer::json(&json!({ "client_id": id, "client_secret": "s" })))),
    ] {
        world.clock.advance(DAY);
        publisher.is_down(answer.is_none());
        if let Some(answer) = answer {
            publisher.says(PATH, answer);
        }
        let tokens = client.refresh(&token).await.unwrap_or_else(|trouble| panic!("{what}: {trouble}"));
        token = tokens.refresh_token.unwrap();
    }
    assert_ne!(authorize(&client, "text/html").await.0, 200, "but nobody new is shown what it said once");
    let client = world.after_restart(client).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
    let (status, answer) = client.token(&form).await.unwrap();
    assert_eq!((status, answer["error"].as_str()), (503, Some("temporarily_unavailable")), "no copy is left");
    publish(&publisher, |_| {});
    client.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn a_failed_fetch_delays_one_refresh_only() {
    let world = World::in_standing_time(|site| site).await;
    let (world, publisher) = world.and_a_publisher().await;
    let id = publish(&publisher, |_| {});
    let client = world.published(&id, SERVER).await;
    let mut token = sign_in(&client).await.refresh_token.unwrap();
    world.clock.advance(DAY);
    publisher.says(PATH, Answer::text("text/html", "").status(500));
    for _ in 0..5 {
        token = client.refresh(&token).await.unwrap().refresh_token.unwrap();
    }
    assert_eq!(publisher.asked(PATH), 2);
    world.clock.advance(Duration::from_secs(31));
    client.refresh(&token).await.unwrap();
    assert_eq!(publisher.asked(PATH), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_at_most_four_concurrent_fetches() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let path = |n: usize| format!("/slow/{n}.json");
    let mut asking = Vec::new();
    for n in 0..4 {
        let id = publisher.url(HOST, &path(n));
        publisher.says(&path(n), Answer::json(&document(&id)).delay(Duration::from_secs(3)));
        let client = world.published(&id, SERVER).await;
        asking.push(tokio::spawn(async move { authorize(&client, "text/html").await.0 }));
        while publisher.asked(&path(n)) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let other = world.published(&publish(&publisher, |_| {}), SERVER).await;
    assert_eq!(authorize(&other, "application/json").await.0, 429);
    for status in asking {
        assert_eq!(status.await.unwrap(), 200);
    }
    assert_eq!(authorize(&other, "text/html").await.0, 200);
}

#[tokio::test]
async fn failed_fetches_are_rate_limited_per_client_and_address() {
    let few = |site: crate::harness::SiteOf| {
        site.set(|site| (site.limits.client_metadata_fetches, site.limits.metadata_fetches) = (2, 3))
    };
    for keep in [Keep::Embedded, Keep::Redis] {
        let world = World::in_standing_time_on(keep, few).await;
        let (world, publisher) = world.and_a_publisher().await;
        let id = publisher.url(HOST, PATH);
        let client = world.published(&id, SERVER).await;
        let other = world.published(&publisher.url("other.example.com", PATH), SERVER).await;
        for wanted in [400, 400, 429, 429] {
            assert_eq!(authorize(&client, "application/json").await.0, wanted);
        }
        assert_eq!(publisher.asked(PATH), 2);
        for wanted in [400, 429] {
            assert_eq!(authorize(&other, "application/json").await.0, wanted);
        }
        assert_eq!(publisher.asked(PATH), 3);
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
        let (status, answer) = client.token(&form).await.unwrap();
        assert_eq!((status, answer["error"].as_str()), (429, Some("temporarily_unavailable")));
        world.clock.advance(Duration::from_mins(1));
        publisher.says(PATH, Answer::json(&document(&id)));
        assert_eq!(authorize(&client, "text/html").await.0, 200);
    }
}
