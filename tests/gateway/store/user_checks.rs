//! Results of the checks of users at Okta.

use super::fixture::on_each_backend;
use super::key;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_a_check_is_replaced_only_if_it_is_the_expected_one_and_expires() {
    on_each_backend(async |fixture| {
        let (store, text) = (&fixture.store, |text: &str| text.as_bytes().to_vec());
        let replace = async |old: Option<&str>, new: &str| {
            let expires_at = fixture.seconds(60);
            store.replace_user_check(key(1), old.map(text), text(new), expires_at).await.unwrap()
        };
        assert_eq!(store.user_check(key(1)).await.unwrap(), None);
        assert!(!replace(Some("other"), "one").await, "there is none");
        assert!(replace(None, "one").await);
        assert!(!replace(None, "two").await);
        assert!(!replace(Some("other"), "two").await);
        assert!(replace(Some("one"), "two").await);
        assert_eq!(store.user_check(key(1)).await.unwrap(), Some(text("two")));
        assert_eq!(store.user_check(key(2)).await.unwrap(), None, "another user");
        fixture.clock.advance(Duration::from_mins(1));
        assert_eq!(store.user_check(key(1)).await.unwrap(), None);
        assert!(replace(None, "three").await);
    })
    .await;
}
