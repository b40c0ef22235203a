//! Refusals of the token, revocation and registration endpoints.

use super::{
    TARGET, VERIFIER, code_request, named, named_with_user, refresh_request, send, token_request, world,
};
use crate::harness::{CALLBACK, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Code, Login};
use serde_json::{Value, json};

async fn code(client: &Client) -> Code {
    client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_request_refused_for_its_client_names_the_client_as_far_as_it_is_known() {
    let world = world(|site| site).await;
    let discovered = world.client(TARGET).await.discovered;
    let confidential = discovered.register("Test client", "client_secret_post", CALLBACK).await.unwrap();
    let nobody = send(token_request(&world, &[("grant_type", "refresh_token")])).await;
    nobody.has_event("token", "refused", &json!({}));
    let not_utf8 = send(http().post(world.url("/auth/token")).body(vec![0xff])).await;
    not_utf8.has_event("token", "refused", &json!({}));
    let grant = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let form = [&grant[..], &[("client_id", "nobody-that-is-known")]].concat();
    let unknown = send(token_request(&world, &form)).await;
    unknown.has_event("token", "refused", &json!({ "client_id": "nobody-that-" }));
    assert!(unknown.reason().starts_with("invalid_client"), "{}", unknown.reason());
    let form = [&grant[..], &[("client_id", &*confidential.id), ("client_secret", "wrong")]].concat();
    let wrong_secret = send(token_request(&world, &form)).await;
    assert_eq!(wrong_secret.status, 401);
    wrong_secret.has_event("token", "refused", &named(&confidential));
    let client = world.client(TARGET).await;
    let form = [("client_id", &*client.id), ("grant_type", "password")];
    let grant_type = send(token_request(&world, &form)).await;
    grant_type.has_event("token", "refused", &named(&client));
    assert!(grant_type.reason().starts_with("unsupported_grant_type"), "{}", grant_type.reason());
    assert!(grant_type.lines.warnings().is_empty(), "the client's fault is none of the gateway's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_code_is_logged_once_with_client_route_and_user() {
    let world = world(|site| site).await;
    let (client, other) = (world.client(TARGET).await, world.client(TARGET).await);
    let unknown = code_request(&world, &client, "unknown", VERIFIER).await;
    unknown.has_event("token", "refused", &named(&client));
    let wrong_verifier = code_request(&world, &client, &code(&client).await.code, VERIFIER).await;
    wrong_verifier.has_event("token", "refused", &named_with_user(&client));
    assert!(wrong_verifier.reason().contains("code_verifier"), "{}", wrong_verifier.reason());
    let stolen = code(&client).await;
    let elsewhere = code_request(&world, &other, &stolen.code, &stolen.verifier).await;
    elsewhere.has_event("token", "refused", &named_with_user(&other));
    assert!(elsewhere.reason().contains("another client"), "{}", elsewhere.reason());
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", &client.id),
        ("code", &stolen.code),
        ("code_verifier", &stolen.verifier),
        ("redirect_uri", "https://evil.example.com/"),
    ];
    let redirect_uri = send(token_request(&world, &form)).await;
    redirect_uri.has_event("token", "refused", &named_with_user(&client));
    let issued = code_request(&world, &client, &stolen.code, &stolen.verifier).await;
    assert_eq!(issued.status, 200, "{}", issued.body);
    issued.has_event("token", "allowed", &named_with_user(&client));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_refresh_is_logged_once_with_client_route_and_user() {
    let world = world(|site| site).await;
    let (client, tokens) = world.sign_in(TARGET, "alice").await;
    let other = world.client(TARGET).await;
    let token = tokens.refresh_token.unwrap();
    let unknown = refresh_request(&world, &client, "unknown", &[]).await;
    unknown.has_event("token", "refused", &named(&client));
    let elsewhere = refresh_request(&world, &other, &token, &[]).await;
    elsewhere.has_event("token", "refused", &named_with_user(&other));
    let dice = world.url("/mcp/dice/mcp");
    let resource = refresh_request(&world, &client, &token, &[("resource", &dice)]).await;
    resource.has_event("token", "refused", &named_with_user(&client));
    assert!(resource.reason().starts_with("invalid_target"), "{}", resource.reason());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_logged_once_with_what_is_known() {
    let world = world(|site| site).await;
    let (client, tokens) = world.sign_in(TARGET, "alice").await;
    let other = world.client(TARGET).await;
    let revoke = async |client: &Client, token: &[(&str, &str)]| {
        let form = [&[("client_id", &*client.id)], token].concat();
        send(http().post(world.url("/auth/revoke")).form(&form)).await
    };
    let claimed = json!({ "client_id": client.id[..12] });
    revoke(&client, &[]).await.has_event("revocation", "refused", &claimed);
    revoke(&client, &[("token", "unknown")]).await.has_event("revocation", "refused", &named(&client));
    let token = [("token", &*tokens.access_token)];
    revoke(&other, &token).await.has_event("revocation", "refused", &named_with_user(&other));
    revoke(&client, &token).await.has_event("revocation", "allowed", &named_with_user(&client));
    revoke(&client, &token).await.has_event("revocation", "allowed", &named(&client));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_is_logged_once_with_what_is_known() {
    let world = world(|site| site).await;
    let register =
        async |metadata: Value| send(http().post(world.url("/auth/register")).json(&metadata)).await;
    let evil = json!({ "client_name": "Evil", "redirect_uris": ["javascript:alert(1)"] });
    register(evil).await.has_event("registration", "refused", &json!({}));
    let long: Vec<String> =
        (0..20).map(|number| format!("https://{number}.example.com/{}", "a".repeat(400))).collect();
    let too_long = register(json!({ "client_name": "Long", "redirect_uris": long })).await;
    assert_eq!(too_long.status, 400, "{}", too_long.body);
    assert_eq!(too_long.lines.event()["event"], "registration");
    let registered = register(json!({ "client_name": "Good", "redirect_uris": [CALLBACK] })).await;
    let id: Value = serde_json::from_str(&registered.body).unwrap();
    let id = id["client_id"].as_str().unwrap();
    registered.has_event("registration", "allowed", &json!({ "client": "Good", "client_id": id[..12] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limited_request_leaves_one_event() {
    let world = world(|site| {
        site.set(|site| {
            let limits = &mut site.limits;
            limits.authorizations = 1;
            limits.consents = 1;
            limits.logins = 1;
            (limits.client_tokens, limits.tokens) = (1, 3);
        })
    })
    .await;
    let client = world.client(TARGET).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", &*client.id)];
    assert_eq!(send(token_request(&world, &form)).await.status, 400);
    let by_client = send(token_request(&world, &form)).await;
    assert_eq!(by_client.status, 429);
    by_client.has_event("token", "refused", &json!({ "client_id": client.id[..12] }));
    for other in ["another", "a third"] {
        assert_eq!(send(token_request(&world, &[("client_id", other)])).await.status, 400);
    }
    let by_address = send(token_request(&world, &form)).await;
    assert_eq!((by_address.status, by_address.reason()), (429, "too many requests"));
    by_address.has_event("token", "refused", &json!({ "client_id": client.id[..12] }));
    for (event, request) in
        [("authorization", "/auth/authorize?client_id=nobody"), ("login", "/auth/callback?code=c&state=s")]
    {
        assert_eq!(send(http().get(world.url(request))).await.status, 400);
        let limited = send(http().get(world.url(request))).await;
        assert_eq!(limited.status, 429);
        assert_eq!(limited.lines.event()["event"], event);
    }
    let post = || send(http().post(world.url("/auth/authorize")).body(""));
    assert_eq!(post().await.status, 400);
    let limited = post().await;
    assert_eq!(limited.status, 429);
    limited.has_event("consent", "refused", &json!({}));
}
