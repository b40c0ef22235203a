use super::*;
use gateway_routes::AuthorizationServer;
use gateway_standins::browser::Browser;
use gateway_standins::okta::{
    ClaimsIn, EmailVerified, IdTokenFault, Okta as StandIn, OktaOptions, Outage, RefreshTokens,
};
use serde_json::json;

const REDIRECT: &str = "http://localhost:8080/auth/callback";

fn client(okta: &StandIn, server: AuthorizationServer) -> Okta {
    client_with_email_trust(okta, server, false)
}

/// Client that accepts an e-mail address without `email_verified` if `trust_email` is set.
fn client_with_email_trust(okta: &StandIn, server: AuthorizationServer, trust_email: bool) -> Okta {
    // Fails only when the same provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = OktaOptions::default();
    let config = OktaConfig {
        issuer: Issuer::of(&Url::parse(okta.url()).unwrap(), server),
        client_id: options.client_id,
        client_secret: Secret::new(options.client_secret),
        redirect_uri: Url::parse(REDIRECT).unwrap(),
        groups_claim: "groups".to_owned(),
        named_groups: BTreeSet::new(),
        trust_email,
        authorities: RootCertStore::empty(),
        egress_proxy: None,
    };
    Okta::new(config, Clock::system(), Entropy::system()).unwrap()
}

async fn sign_in(okta: &Okta, username: &str) -> Result<SignedIn, OktaError> {
    let login = okta.new_login(&[]);
    let url = okta.begin(&login, None).await?;
    let mut browser = Browser::new();
    browser.stop_at(REDIRECT);
    let page = browser.open(url.as_str()).await.unwrap().page().unwrap();
    let back = browser.sign_in(&page, username).await.unwrap().stopped().unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    okta.complete(&code, &login).await
}

#[tokio::test]
async fn the_profile_is_read_from_the_id_token_or_from_userinfo() {
    for claims_in in [ClaimsIn::IdToken, ClaimsIn::UserInfo] {
        for server in [AuthorizationServer::Org, AuthorizationServer::Custom("default")] {
            let options = OktaOptions { claims_in, ..OktaOptions::default() };
            let standin = StandIn::start(options).await.unwrap();
            let carol = sign_in(&client(&standin, server), "carol").await.unwrap();
            assert_eq!(carol.profile.email.as_deref(), Some("carol@example.com"), "{claims_in:?} {server:?}");
            assert_eq!(carol.profile.groups.len(), 2, "{claims_in:?} {server:?}: {carol:?}");
            assert!(carol.refresh_token.is_some());
        }
    }
}

#[tokio::test]
async fn an_unverified_email_address_is_ignored() {
    let mut people = gateway_standins::okta::default_users();
    for person in &mut people {
        person.email_verified = person.username != "bob";
    }
    let standin = StandIn::start(OktaOptions { users: people, ..OktaOptions::default() }).await.unwrap();
    let okta = client(&standin, AuthorizationServer::Org);
    assert_eq!(sign_in(&okta, "bob").await.unwrap().profile.email, None);
    assert_eq!(sign_in(&okta, "carol").await.unwrap().profile.email.as_deref(), Some("carol@example.com"));
}

#[tokio::test]
async fn an_email_address_may_be_verified_in_the_id_token_or_in_userinfo() {
    let claim = |verified: serde_json::Value| EmailVerified::Claim(verified);
    for (in_id_token, in_userinfo, is_accepted) in [
        (claim(json!(true)), claim(json!(false)), true),
        (claim(json!("true")), EmailVerified::Absent, true),
        (EmailVerified::Absent, claim(json!(true)), true),
        (EmailVerified::Absent, claim(json!("true")), true),
        (EmailVerified::Absent, claim(json!(false)), false),
        (EmailVerified::Absent, claim(json!("false")), false),
        (EmailVerified::Absent, EmailVerified::Absent, false),
        (claim(json!(false)), claim(json!(true)), true),
        (claim(json!(false)), claim(json!(false)), false),
        (claim(json!("false")), EmailVerified::Absent, false),
        (claim(json!(null)), claim(json!(1)), false),
    ] {
        let case = format!("{in_id_token:?} {in_userinfo:?}");
        let options = OktaOptions {
            id_token_email_verified: in_id_token,
            userinfo_email_verified: in_userinfo,
            ..OktaOptions::default()
        };
        let standin = StandIn::start(options).await.unwrap();
        for server in [AuthorizationServer::Org, AuthorizationServer::Custom("default")] {
            for trust in [false, true] {
                let okta = client_with_email_trust(&standin, server, trust);
                let signed_in = sign_in(&okta, "alice").await.unwrap();
                let expected = (is_accepted || trust).then_some("alice@example.com");
                assert_eq!(signed_in.profile.email.as_deref(), expected, "{case} {server:?} {trust}");
                let token = signed_in.refresh_token.unwrap();
                let revalidated = okta.revalidate(&token, &signed_in.sub).await.unwrap().profile.unwrap();
                assert_eq!(revalidated, signed_in.profile, "{case} {server:?} {trust}");
                assert_eq!(revalidated.groups, ["Engineering"], "{case}");
            }
        }
    }
}

#[tokio::test]
async fn the_email_address_is_updated_at_revalidation() {
    for claims_in in [ClaimsIn::IdToken, ClaimsIn::UserInfo] {
        let standin = StandIn::start(OktaOptions { claims_in, ..OktaOptions::default() }).await.unwrap();
        let okta = client(&standin, AuthorizationServer::Org);
        let SignedIn { sub, refresh_token, .. } = sign_in(&okta, "alice").await.unwrap();
        let token = refresh_token.unwrap();
        for (email, verified) in [("new@example.com", true), ("carol@example.com", false)] {
            standin.set_email("alice", email, verified);
            let profile = okta.revalidate(&token, &sub).await.unwrap().profile.unwrap();
            assert_eq!(profile.email.as_deref(), verified.then_some(email), "{claims_in:?}");
        }
    }
}

#[tokio::test]
async fn an_invalid_id_token_is_rejected() {
    let standin = StandIn::start(OktaOptions::default()).await.unwrap();
    let okta = client(&standin, AuthorizationServer::Org);
    for fault in [
        IdTokenFault::WrongIssuer,
        IdTokenFault::WrongAudience,
        IdTokenFault::ExtraAudience,
        IdTokenFault::WrongAzp,
        IdTokenFault::WrongNonce,
        IdTokenFault::NoNonce,
        IdTokenFault::NoSubject,
        IdTokenFault::Expired,
        IdTokenFault::NoExp,
        IdTokenFault::HugeExp,
        IdTokenFault::IssuedInFuture,
        IdTokenFault::NoIat,
        IdTokenFault::WrongAtHash,
        IdTokenFault::AlgNone,
        IdTokenFault::Hs256,
        IdTokenFault::Hs256WithPublicKey,
        IdTokenFault::UnknownCrit,
        IdTokenFault::ForeignKey,
        IdTokenFault::UnknownKid,
        IdTokenFault::BrokenSignature,
        IdTokenFault::Garbage,
        IdTokenFault::Missing,
    ] {
        standin.id_token_fault(Some(fault));
        let refused = sign_in(&okta, "alice").await;
        assert!(
            matches!(refused, Err(OktaError::Invalid(_) | OktaError::IdToken(_))),
            "{fault:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn an_outage_is_reported_as_unavailable() {
    let standin = StandIn::start(OktaOptions::default()).await.unwrap();
    for outage in [Outage::Refuse503, Outage::RateLimited429, Outage::Hang] {
        standin.outage(outage);
        let okta = client(&standin, AuthorizationServer::Org);
        assert!(matches!(okta.probe().await, Err(OktaError::Unavailable(_))), "{outage:?}");
        standin.outage(Outage::None);
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_names_both_and_the_setting_to_change() {
    let standin = StandIn::start(OktaOptions::default()).await.unwrap();
    let asked = standin.url().replace("127.0.0.1", "localhost");
    let config = OktaConfig {
        issuer: Issuer::of(&Url::parse(&asked).unwrap(), AuthorizationServer::Custom("default")),
        ..client(&standin, AuthorizationServer::Org).0.config.clone()
    };
    let okta = Okta::new(config, Clock::system(), Entropy::system()).unwrap();
    let error = okta.probe().await.unwrap_err().to_string();
    for part in [standin.custom_issuer("default"), format!("{asked}/oauth2/default"), "set OKTA_URL".into()] {
        assert!(error.contains(&part), "{error}");
    }
}

#[tokio::test]
async fn the_probe_checks_the_credentials() {
    let standin = StandIn::start(OktaOptions::default()).await.unwrap();
    for server in [AuthorizationServer::Org, AuthorizationServer::Custom("default")] {
        let okta = client(&standin, server);
        assert_eq!(okta.probe().await, Ok(()));
        standin.set_client_secret("another");
        assert!(matches!(okta.probe().await, Err(OktaError::Credentials { .. })));
        standin.set_client_secret(&OktaOptions::default().client_secret);
    }
}

#[tokio::test]
async fn a_suspended_user_is_rejected_at_revalidation_and_wrong_credentials_are_an_outage() {
    let standin = StandIn::start(OktaOptions::default()).await.unwrap();
    let okta = client(&standin, AuthorizationServer::Org);
    let SignedIn { sub, refresh_token, .. } = sign_in(&okta, "alice").await.unwrap();
    let token = refresh_token.unwrap();
    assert!(okta.revalidate(&token, &sub).await.is_ok());
    standin.suspend("alice");
    let refused = okta.revalidate(&token, &sub).await;
    assert!(
        matches!(&refused, Err(OktaError::Refused { error, .. }) if error == "invalid_grant"),
        "{refused:?}"
    );
    standin.set_client_secret("another");
    assert!(matches!(okta.revalidate(&token, &sub).await, Err(OktaError::Credentials { .. })));
}

#[tokio::test]
async fn groups_are_updated_at_revalidation() {
    for claims_in in [ClaimsIn::IdToken, ClaimsIn::UserInfo] {
        for server in [AuthorizationServer::Org, AuthorizationServer::Custom("default")] {
            let options = OktaOptions { claims_in, ..OktaOptions::default() };
            let standin = StandIn::start(options).await.unwrap();
            let okta = client(&standin, server);
            let SignedIn { sub, refresh_token, .. } = sign_in(&okta, "carol").await.unwrap();
            standin.set_groups("carol", &["Support"]);
            let revalidated = okta.revalidate(&refresh_token.unwrap(), &sub).await.unwrap();
            assert_eq!(revalidated.profile.unwrap().groups, ["Support"], "{claims_in:?} {server:?}");
        }
    }
}

#[tokio::test]
async fn an_invalid_profile_at_revalidation_is_rejected_and_the_new_refresh_token_is_returned() {
    let rotating = RefreshTokens::Rotating { grace: 0 };
    let options = OktaOptions { refresh_tokens: rotating, ..OktaOptions::default() };
    let standin = StandIn::start(options).await.unwrap();
    let okta = client(&standin, AuthorizationServer::Org);
    let SignedIn { sub, refresh_token, .. } = sign_in(&okta, "alice").await.unwrap();
    let revalidated = okta.revalidate(&refresh_token.unwrap(), "00u-somebody-else").await.unwrap();
    assert!(matches!(revalidated.profile, Err(OktaError::Invalid(_))), "{:?}", revalidated.profile);
    standin.id_token_fault(Some(IdTokenFault::BrokenSignature));
    let revalidated = okta.revalidate(&revalidated.refresh_token.unwrap(), &sub).await.unwrap();
    assert!(matches!(revalidated.profile, Err(OktaError::IdToken(_))), "{:?}", revalidated.profile);
    standin.id_token_fault(None);
    let revalidated = okta.revalidate(&revalidated.refresh_token.unwrap(), &sub).await.unwrap();
    assert_eq!(revalidated.profile.unwrap().groups, ["Engineering"]);
}
