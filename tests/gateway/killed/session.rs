//! One client: what it was promised, and what it cannot know because the answer did not come.

use crate::harness::chance::Chance;
use crate::harness::http;
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Code, Login};
use serde_json::Value;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happened, so that a test that showed nothing is noticed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    logins: u64,
    rotations: u64,
    revocations: u64,
    cut_short: u64,
}

impl Done {
    /// Each of them, in numbers that grow with the kills.
    pub(super) fn happened_often(&self, kills: u64) -> bool {
        [self.logins, self.rotations, self.revocations, self.cut_short]
            .iter()
            .all(|times| *times >= kills / 5)
    }
}

impl Add for Done {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            logins: self.logins + other.logins,
            rotations: self.rotations + other.rotations,
            revocations: self.revocations + other.revocations,
            cut_short: self.cut_short + other.cut_short,
        }
    }
}

/// The tokens of a grant.
#[derive(Clone)]
struct Tokens {
    access: String,
    refresh: String,
}

/// What was asked for and not answered.
enum Unsure {
    Redeeming(Code),
    Refreshing,
    Revoking(Tokens),
}

/// A client, and what it holds.
pub(super) struct Session {
    base_url: String,
    client: Client,
    browser: Browser,
    chance: Chance,
    pub(super) done: Done,
    /// Given out, and not redeemed.
    code: Option<Code>,
    tokens: Option<Tokens>,
    /// Redeemed since the last check.
    redeemed: Vec<Code>,
    /// Revoked since the last check.
    revoked: Vec<Tokens>,
    unsure: Option<Unsure>,
}

impl Session {
    pub(super) fn new(base_url: String, client: Client, chance: Chance) -> Self {
        let (browser, done) = (Browser::new(), Done::default());
        let (redeemed, revoked) = (Vec::new(), Vec::new());
        Self {
            base_url,
            client,
            browser,
            chance,
            done,
            code: None,
            tokens: None,
            redeemed,
            revoked,
            unsure: None,
        }
    }

    /// Logs in, refreshes and revokes until nobody answers.
    pub(super) async fn asks_until_it_fails(mut self, answers: Arc<AtomicU64>) -> Self {
        while self.asks().await.is_some() {
            answers.fetch_add(1, Ordering::Relaxed);
        }
        self.done.cut_short += u64::from(self.unsure.is_some());
        self
    }

    async fn asks(&mut self) -> Option<()> {
        if let Some(code) = self.code.take() {
            self.unsure = Some(Unsure::Redeeming(code.clone()));
            let (status, body) = self.redeem(&code).await?;
            assert_eq!(status, 200, "a code that was given out is worth tokens: {body}");
            self.holds(code, &body);
        } else if let Some(tokens) = self.tokens.clone() {
            if self.chance.below(8) == 0 {
                self.unsure = Some(Unsure::Revoking(tokens.clone()));
                assert_eq!(self.revoke(&tokens).await?, 200);
                self.ended(tokens);
            } else {
                self.unsure = Some(Unsure::Refreshing);
                let (status, body) = self.refresh(&tokens).await?;
                assert_eq!(status, 200, "the newest refresh token counts: {body}");
                self.tokens = Some(read(&body));
                self.done.rotations += 1;
            }
        } else {
            self.code = Some(self.client.authorize(&mut self.browser, &Login::of("alice")).await.ok()?);
        }
        self.unsure = None;
        Some(())
    }

    fn holds(&mut self, code: Code, body: &Value) {
        self.tokens = Some(read(body));
        self.redeemed.push(code);
        self.done.logins += 1;
    }

    fn ended(&mut self, tokens: Tokens) {
        self.tokens = None;
        self.revoked.push(tokens);
        self.done.revocations += 1;
    }

    /// Holds what the gateway does now against what it has said.
    pub(super) async fn finds_all_as_promised(mut self) -> Self {
        match self.unsure.take() {
            Some(Unsure::Redeeming(code)) => {
                let (status, body) = self.redeem(&code).await.unwrap();
                match status {
                    200 => self.holds(code, &body),
                    _ => assert_eq!(body["error"], "invalid_grant", "it was redeemed, unheard"),
                }
            }
            Some(Unsure::Revoking(tokens)) => {
                assert_eq!(self.revoke(&tokens).await, Some(200), "once more does no harm");
                self.ended(tokens);
            }
            Some(Unsure::Refreshing) | None => {}
        }
        if let Some(code) = self.code.take() {
            let (status, body) = self.redeem(&code).await.unwrap();
            assert_eq!(status, 200, "no code is lost: {body}");
            self.holds(code, &body);
        }
        if let Some(tokens) = self.tokens.clone() {
            let (status, body) = self.refresh(&tokens).await.unwrap();
            assert_eq!(status, 200, "no grant and no rotation is lost: {body}");
            self.tokens = Some(read(&body));
        }
        self.finds_what_ended().await;
        self
    }

    async fn finds_what_ended(&mut self) {
        for tokens in std::mem::take(&mut self.revoked) {
            self.is_dead(&tokens, "no revocation is lost").await;
        }
        // Half of them, since it costs the grant: the second use of a code is a thief's or the thief's victim's.
        let codes = std::mem::take(&mut self.redeemed);
        if !codes.is_empty() && self.chance.below(2) == 0 {
            for code in &codes {
                let (status, body) = self.redeem(code).await.unwrap();
                assert_eq!(
                    (status, body["error"].as_str()),
                    (400, Some("invalid_grant")),
                    "no code works twice"
                );
            }
            if let Some(tokens) = self.tokens.take() {
                self.is_dead(&tokens, "the second use of a code revokes its grant").await;
            }
        }
    }

    async fn is_dead(&self, tokens: &Tokens, promise: &str) {
        let (_, body) = self.refresh(tokens).await.unwrap();
        assert_eq!(body["error"], "invalid_grant", "{promise}");
        let url = format!("{}/mcp/dice/mcp", self.base_url);
        let call = http().post(url).bearer_auth(&tokens.access).send().await.unwrap();
        assert_eq!(call.status(), 401, "{promise}");
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
        let answer = http().post(format!("{}/auth/revoke", self.base_url)).form(&form).send().await.ok()?;
        Some(answer.status().as_u16())
    }
}

fn read(body: &Value) -> Tokens {
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token") }
}
