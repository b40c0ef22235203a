//! Secrets in logs: a whole login at the most verbose level leaves none.

use crate::harness::binary::Process;
use crate::harness::go_program::GoProgram;
use crate::harness::http;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Login, Session};
use gateway_standins::okta::{Okta, OktaOptions};

const SECRET: &str = "5f0e8d7c6b5a49382716f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0";

/// Secrets that must not be logged, with their names.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        assert!(value.len() >= 16, "{name} is too short to search for: {value:?}");
        self.0.push((name.to_owned(), value));
    }

    fn add_okta_secrets(&mut self, okta: &Okta) {
        for request in okta.requests() {
            for name in ["state", "nonce", "code", "code_verifier", "refresh_token", "client_secret"] {
                if let Some(value) = request.field(name) {
                    self.add(&format!("Okta's {name}"), value);
                }
            }
        }
    }

    fn assert_absent_from(&self, log: &str) {
        for (name, value) in &self.0 {
            assert!(!log.contains(value), "{name} is in the log");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_login_leaves_no_code_token_cookie_or_secret_in_the_log() {
    let go_program = GoProgram::shared().await;
    let options = OktaOptions::default();
    let okta = Okta::start(options.clone()).await.unwrap();
    let process = Process::start(
        &go_program.binary,
        &[
            ("RUST_LOG", "trace"),
            ("OKTA_URL", okta.url()),
            ("OKTA_CLIENT_ID", &options.client_id),
            ("OKTA_CLIENT_SECRET", &options.client_secret),
            ("GATEWAY_SECRET", SECRET),
        ],
    )
    .await;
    okta.add_redirect_uri(&format!("{}/auth/callback", process.base_url));
    let secrets = log_in_and_fail(&process, &okta).await;
    let log = process.log();
    assert!(
        log.contains("\"TRACE\"") && log.contains("\"event\":\"login\""),
        "the log is not verbose:\n{log}"
    );
    secrets.assert_absent_from(&log);
}

/// Signs in with a confidential client, calls a tool, refreshes, and causes errors that could quote a secret.
async fn log_in_and_fail(process: &Process, okta: &Okta) -> Secrets {
    let mut secrets = Secrets::default();
    secrets.add("GATEWAY_SECRET", SECRET);
    let options = OktaOptions::default();
    let basic = STANDARD.encode(format!("{}:{}", options.client_id, options.client_secret));
    secrets.add("OKTA_CLIENT_SECRET", options.client_secret);
    secrets.add("OKTA_CLIENT_SECRET in Basic", basic);
    let endpoint = format!("{}/mcp/dice/mcp", process.base_url);
    let discovered = client::discover(&endpoint).await.unwrap();
    let redirect = crate::harness::CALLBACK;
    let client = discovered.register("Confidential", "client_secret_basic", redirect).await.unwrap();
    secrets.add("the client's secret", client.secret.clone().unwrap());
    let mut browser = Browser::new();
    let code = client.authorize(&mut browser, &Login::of("alice")).await.unwrap();
    secrets.add("the code", &*code.code);
    secrets.add("the verifier", &*code.verifier);
    for (name, value) in browser.cookies(&process.base_url).unwrap() {
        secrets.add(&name, value);
    }
    let tokens = client.redeem(&code).await.unwrap();
    let mut session = Session::open(&endpoint, &tokens.access_token).await.unwrap();
    session.call("roll", serde_json::json!({ "sides": 6 })).await.unwrap();
    let next = client.refresh(tokens.refresh_token.as_ref().unwrap()).await.unwrap();
    // Second use of the code, token in the query, invalid token: their error messages could quote the secret.
    client.redeem(&code).await.unwrap_err();
    http().get(format!("{endpoint}?access_token={}", next.access_token)).send().await.unwrap();
    http().get(&endpoint).bearer_auth(format!("{}x", next.access_token)).send().await.unwrap();
    let callback = format!(
        "{}/auth/callback?code=an-unused-code-of-okta&state=an-unknown-state-of-okta",
        process.base_url
    );
    http().get(callback).send().await.unwrap();
    secrets.add("an unknown code", "an-unused-code-of-okta");
    for tokens in [tokens, next] {
        let signature = tokens.access_token.rsplit('.').next().unwrap().to_owned();
        secrets.add("an access token's signature", signature);
        secrets.add("a refresh token", tokens.refresh_token.unwrap());
    }
    secrets.add_okta_secrets(okta);
    secrets
}
