//! One client: the operations that were acknowledged, and the one whose response was lost.

use crate::harness::http;
use crate::harness::random_source::RandomSource;
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Code, Login};
use serde_json::Value;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers of operations, to detect a run without significance.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    logins: u64,
    rotations: u64,
    revocations: u64,
    interrupted: u64,
}

impl Counts {
    /// Returns `true` if each number is large enough for this number of kills.
    pub(super) fn are_significant(&self, kills: u64) -> bool {
        [self.logins, self.rotations, self.revocations, self.interrupted]
            .iter()
            .all(|times| *times >= kills / 5)
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            logins: self.logins + other.logins,
            rotations: self.rotations + other.rotations,
            revocations: self.revocations + other.revocations,
            interrupted: self.interrupted + other.interrupted,
        }
    }
}

/// Tokens of a grant.
#[derive(Clone)]
struct Tokens {
    access: String,
    refresh: String,
}

/// Operation without a response.
enum Unacknowledged {
    Redeeming(Code),
    Refreshing,
    Revoking(Tokens),
}

/// Client with its tokens.
pub(super) struct Session {
    base_url: String,
    client: Client,
    browser: Browser,
    random: RandomSource,
    pub(super) counts: Counts,
    /// Issued and not redeemed.
    code: Option<Code>,
    tokens: Option<Tokens>,
    /// Redeemed since the last check.
    redeemed: Vec<Code>,
    /// Revoked since the last check.
    revoked: Vec<Tokens>,
    unacknowledged: Option<Unacknowledged>,
}

impl Session {
    pub(super) fn new(base_url: String, client: Client, random: RandomSource) -> Self {
        let (browser, counts) = (Browser::new(), Counts::default());
        let (redeemed, revoked) = (Vec::new(), Vec::new());
        Self {
            base_url,
            client,
            browser,
            random,
            counts,
            code: None,
            tokens: None,
            redeemed,
            revoked,
            unacknowledged: None,
        }
    }

    /// Logs in, refreshes and revokes until a request fails.
    pub(super) async fn run_until_error(mut self, responses: Arc<AtomicU64>) -> Self {
        while self.step().await.is_some() {
            responses.fetch_add(1, Ordering::Relaxed);
        }
        self.counts.interrupted += u64::from(self.unacknowledged.is_some());
        self
    }

    async fn step(&mut self) -> Option<()> {
        if let Some(code) = self.code.take() {
            self.unacknowledged = Some(Unacknowledged::Redeeming(code.clone()));
            let (status, body) = self.redeem(&code).await?;
            assert_eq!(status, 200, "a code that was given out is worth tokens: {body}");
            self.add_tokens(code, &body);
        } else if let Some(tokens) = self.tokens.clone() {
            if self.random.below(8) == 0 {
                self.unacknowledged = Some(Unacknowledged::Revoking(tokens.clone()));
                assert_eq!(self.revoke(&tokens).await?, 200);
                self.add_revoked(tokens);
            } else {
                self.unacknowledged = Some(Unacknowledged::Refreshing);
                let (status, body) = self.refresh(&tokens).await?;
                assert_eq!(status, 200, "the newest refresh token is valid: {body}");
                self.tokens = Some(read(&body));
                self.counts.rotations += 1;
            }
        } else {
            self.code = Some(self.client.authorize(&mut self.browser, &Login::of("alice")).await.ok()?);
        }
        self.unacknowledged = None;
        Some(())
    }

    fn add_tokens(&mut self, code: Code, body: &Value) {
        self.tokens = Some(read(body));
        self.redeemed.push(code);
        self.counts.logins += 1;
    }

    fn add_revoked(&mut self, tokens: Tokens) {
        self.tokens = None;
        self.revoked.push(tokens);
        self.counts.revocations += 1;
    }

    /// Compares the gateway's state with everything that it acknowledged.
    pub(super) async fn check_acknowledged(mut self) -> Self {
        match self.unacknowledged.take() {
            Some(Unacknowledged::Redeeming(code)) => {
                let (status, body) = self.redeem(&code).await.unwrap();
                match status {
                    200 => self.add_tokens(code, &body),
                    _ => assert_eq!(
                        body["error"], "invalid_grant",
                        "the code was redeemed, but the response was lost"
                    ),
                }
            }
            Some(Unacknowledged::Revoking(tokens)) => {
                assert_eq!(self.revoke(&tokens).await, Some(200), "revocation is idempotent");
                self.add_revoked(tokens);
            }
            Some(Unacknowledged::Refreshing) | None => {}
        }
        if let Some(code) = self.code.take() {
            let (status, body) = self.redeem(&code).await.unwrap();
            assert_eq!(status, 200, "no code is lost: {body}");
            self.add_tokens(code, &body);
        }
        if let Some(tokens) = self.tokens.clone() {
            let (status, body) = self.refresh(&tokens).await.unwrap();
            assert_eq!(status, 200, "no grant and no rotation is lost: {body}");
            self.tokens = Some(read(&body));
        }
        self.check_ended().await;
        self
    }

    async fn check_ended(&mut self) {
        for tokens in std::mem::take(&mut self.revoked) {
            self.assert_revoked(&tokens, "no revocation is lost").await;
        }
        // Only in half of the checks, because the second use of a code revokes the grant.
        let codes = std::mem::take(&mut self.redeemed);
        if !codes.is_empty() && self.random.below(2) == 0 {
            for code in &codes {
                let (status, body) = self.redeem(code).await.unwrap();
                assert_eq!(
                    (status, body["error"].as_str()),
                    (400, Some("invalid_grant")),
                    "no code works twice"
                );
            }
            if let Some(tokens) = self.tokens.take() {
                self.assert_revoked(&tokens, "the second use of a code revokes its grant").await;
            }
        }
    }

    async fn assert_revoked(&self, tokens: &Tokens, context: &str) {
        let (_, body) = self.refresh(tokens).await.unwrap();
        assert_eq!(body["error"], "invalid_grant", "{context}");
        let url = format!("{}/mcp/dice/mcp", self.base_url);
        let call = http().post(url).bearer_auth(&tokens.access).send().await.unwrap();
        assert_eq!(call.status(), 401, "{context}");
    }

    async fn redeem(&self, code: &Code) -> Option<(u16, Value)> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &*code.code),
            ("code_verifier", &*code.verifier),
            ("redirect_uri", &*self.client.redirect_uri),
        ];
        self.client.token(&form).await.ok()
    }

    async fn refresh(&self, tokens: &Tokens) -> Option<(u16, Value)> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*tokens.refresh)];
        self.client.token(&form).await.ok()
    }

    async fn revoke(&self, tokens: &Tokens) -> Option<u16> {
        let form = [("client_id", &*self.client.id), ("token", &*tokens.refresh)];
        let response = http().post(format!("{}/auth/revoke", self.base_url)).form(&form).send().await.ok()?;
        Some(response.status().as_u16())
    }
}

fn read(body: &Value) -> Tokens {
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token") }
}
