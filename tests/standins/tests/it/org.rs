//! Client side of a login at Okta, for these tests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_standins::browser::{Browser, Landing, Page};
use gateway_standins::okta::{Okta, OktaOptions};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

pub(crate) const CALLBACK: &str = "http://localhost:8080/auth/callback";
pub(crate) const VERIFIER: &str = "a-verifier-that-is-long-enough-for-rfc-7636-0123456789";

/// Relying party of `issuer`.
pub(crate) struct Party {
    pub(crate) issuer: String,
    pub(crate) scope: &'static str,
    pub(crate) secret: String,
    http: reqwest::Client,
}

pub(crate) fn browser() -> Browser {
    let mut browser = Browser::new();
    browser.stop_at(CALLBACK);
    browser
}

pub(crate) async fn start(options: OktaOptions) -> (Okta, Party) {
    let okta = Okta::start(options).await.unwrap();
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let scope = "openid profile email groups offline_access";
    let secret = OktaOptions::default().client_secret;
    let party = Party { issuer: okta.url().to_owned(), scope, secret, http };
    (okta, party)
}

impl Party {
    pub(crate) async fn metadata(&self) -> Value {
        let url = format!("{}/.well-known/openid-configuration", self.issuer);
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn authorize_url(&self, more: &[(&str, &str)]) -> String {
        let metadata = self.metadata().await;
        let mut url = Url::parse(metadata["authorization_endpoint"].as_str().unwrap()).unwrap();
        url.query_pairs_mut().extend_pairs([
            ("client_id", OktaOptions::default().client_id.as_str()),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", self.scope),
            ("state", "a state & more"),
            ("nonce", "n-1"),
            ("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))),
            ("code_challenge_method", "S256"),
        ]);
        url.query_pairs_mut().extend_pairs(more);
        url.to_string()
    }

    pub(crate) async fn login_page(&self, browser: &mut Browser) -> Page {
        browser.open(&self.authorize_url(&[]).await).await.unwrap().page().unwrap()
    }

    /// Parameters of the callback after a login.
    pub(crate) async fn login(&self, browser: &mut Browser, user: &str) -> Vec<(String, String)> {
        let page = self.login_page(browser).await;
        response(browser.sign_in(&page, user).await.unwrap())
    }

    pub(crate) async fn redeem(&self, code: &str) -> (u16, Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(&form).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> (u16, Value) {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub(crate) async fn tokens(&self, user: &str) -> Value {
        let callback = self.login(&mut browser(), user).await;
        let (status, tokens) = self.redeem(find(&callback, "code")).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let endpoint = self.metadata().await["token_endpoint"].as_str().unwrap().to_owned();
        let id = OktaOptions::default().client_id;
        let request = self.http.post(endpoint).basic_auth(id, Some(&self.secret)).form(form);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Response to a code grant with this client assertion and an unknown code.
    pub(crate) async fn assert(&self, assertion: &str) -> Value {
        let endpoint = self.metadata().await["token_endpoint"].as_str().unwrap().to_owned();
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let form = [
            ("grant_type", "authorization_code"),
            ("code", "unknown"),
            ("client_assertion_type", kind),
            ("client_assertion", assertion),
        ];
        self.http.post(endpoint).form(&form).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn userinfo(&self, token: &str) -> (u16, Value) {
        let endpoint = self.metadata().await["userinfo_endpoint"].as_str().unwrap().to_owned();
        let response = self.http.get(endpoint).bearer_auth(token).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    pub(crate) async fn jwks(&self) -> Vec<Value> {
        let uri = self.metadata().await["jwks_uri"].as_str().unwrap().to_owned();
        let jwks: Value = self.http.get(uri).send().await.unwrap().json().await.unwrap();
        jwks["keys"].as_array().unwrap().clone()
    }

    /// Claims of a token whose signature is valid under the JWKS.
    pub(crate) async fn verified(&self, token: &str) -> Option<Value> {
        let (input, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = input.split_once('.').unwrap();
        let header = json(header);
        let keys = self.jwks().await;
        let key = keys.iter().find(|key| key["kid"] == header["kid"])?;
        let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        let public = ring::signature::RsaPublicKeyComponents { n: part("n"), e: part("e") };
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let parameters = &ring::signature::RSA_PKCS1_2048_8192_SHA256;
        public.verify(parameters, input.as_bytes(), &signature).ok()?;
        Some(json(claims))
    }
}

pub(crate) fn json(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub(crate) fn response(landing: Landing) -> Vec<(String, String)> {
    landing.stopped().unwrap().query_pairs().into_owned().collect()
}

pub(crate) fn find<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    let found = pairs.iter().find(|(key, _)| key == name);
    found.map_or_else(|| panic!("no {name} in {pairs:?}"), |(_, value)| value.as_str())
}
