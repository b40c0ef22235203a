//! Data at rest: a dump of the store only reveals the number of grants and the times of their changes.

use crate::harness::{CALLBACK, StoreKind, World};
use gateway_standins::browser::Browser;
use gateway_standins::client::Login;
use gateway_standins::okta::OktaOptions;
use std::fs;

#[tokio::test]
async fn a_store_dump_has_no_tokens_secrets_addresses_or_names() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = World::with(store_kind, |site| site).await;
        let (client, first) = world.sign_in("/mcp/raw/echo", "alice").await;
        let unused = client.authorize(&mut Browser::new(), &Login::of("bob")).await.unwrap();
        let second = client.refresh(first.refresh_token.as_ref().unwrap()).await.unwrap();
        let okta_secret = OktaOptions::default().client_secret;
        let plaintexts = [
            &*first.access_token,
            first.refresh_token.as_deref().unwrap(),
            second.refresh_token.as_deref().unwrap(),
            &*unused.code,
            &*unused.verifier,
            &*client.id,
            &*okta_secret,
            &*world.secrets,
            "alice",
            "bob@",
            "00u",
            "Engineering",
            "Test client",
            CALLBACK,
            "/mcp/raw",
            "mcp:raw",
        ];
        let dump = match &world.redis {
            Some(redis) => redis.dump().unwrap(),
            None => fs::read(world.data_dir().join("gateway.redb")).unwrap(),
        };
        assert!(dump.len() > 1000, "the dump is not empty");
        for text in plaintexts {
            let found = dump.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "{text} is in the dump");
        }
    }
}
