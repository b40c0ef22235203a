//! The servers that are compared, and one run of one candidate on them.

use crate::gateway::{Gateway, GatewayOptions, MCP_PATH};
use crate::load::{Load, Tokens};
use crate::nginx;
use crate::process::Process;
use crate::scenarios::{Candidate, Scenario};
use crate::{Outcome, signed_tokens, site};
use gateway_standins::okta::{Okta, OktaOptions};
use std::path::Path;
use std::time::Duration;

/// New tokens for each second of [`Candidate::ColdTokens`], more than can be used.
const COLD_TOKENS_PER_SECOND: usize = 30_000;

/// Result of one run of one candidate.
#[derive(Clone, Copy)]
pub(crate) struct RunResult {
    pub(crate) requests_per_second: f64,
    /// CPU time of the server per request, in microseconds.
    pub(crate) cpu: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// All servers, with a token for each gateway.
pub(crate) struct Servers {
    pub(crate) quiet: SignedIn,
    audited: SignedIn,
    thousand: Option<SignedIn>,
    pub(crate) nginx: nginx::Running,
    pub(crate) okta: Okta,
}

pub(crate) struct SignedIn {
    pub(crate) gateway: Gateway,
    pub(crate) token: String,
}

impl Servers {
    /// Starts the gateway of one route twice, quiet and audited, that of a thousand routes where it is built, and nginx.
    pub(crate) async fn start(one: &Path, thousand: Option<&Path>) -> Outcome<Self> {
        let okta = Okta::start(OktaOptions::default()).await?;
        let quiet = SignedIn::start(one, "warn", &okta).await?;
        let audited = SignedIn::start(one, "info", &okta).await?;
        let thousand = match thousand {
            Some(binary) => Some(SignedIn::start(binary, "warn", &okta).await?),
            None => None,
        };
        Ok(Self { quiet, audited, thousand, nginx: nginx::Running::start().await?, okta })
    }

    /// Runs one candidate for `duration`.
    pub(crate) async fn turn(
        &self,
        scenario: &Scenario,
        candidate: Candidate,
        duration: Duration,
    ) -> Outcome<RunResult> {
        let load = self.load(scenario, candidate, duration)?;
        let process = self.process(candidate)?;
        let before = process.cpu_time()?;
        let seen = load.run(duration).await.map_err(|error| format!("{}: {error}", candidate.name()))?;
        let used = process.cpu_time()?.saturating_sub(before);
        Ok(RunResult {
            requests_per_second: seen.requests / seen.elapsed.as_secs_f64(),
            cpu: used.as_secs_f64() * 1e6 / seen.requests,
            p50: seen.p50,
            p99: seen.p99,
        })
    }

    fn load(&self, scenario: &Scenario, candidate: Candidate, duration: Duration) -> Outcome<Load> {
        let seconds = usize::try_from(duration.as_secs())?;
        let signed_in = self.signed_in(candidate)?;
        let tokens = match candidate {
            Candidate::ColdTokens => {
                let count = COLD_TOKENS_PER_SECOND * seconds;
                Tokens::Many(signed_tokens::write(&signed_in.gateway, &signed_in.token, count)?)
            }
            Candidate::ManyTokens => Tokens::Many(site::folder().join("tokens")),
            _ => Tokens::One(signed_in.token.clone()),
        };
        let address = match candidate {
            Candidate::Nginx(which) => self.nginx.address(which),
            _ => signed_in.gateway.address.clone(),
        };
        let http2 = matches!(candidate, Candidate::H2c | Candidate::Nginx(nginx::Nginx::H2c));
        let path = format!("{MCP_PATH}{}", scenario.path);
        Ok(Load { address, path, body: scenario.body, tokens, connections: scenario.connections, http2 })
    }

    /// Returns the gateway whose token is sent; nginx receives the same requests as the gateway.
    fn signed_in(&self, candidate: Candidate) -> Outcome<&SignedIn> {
        match candidate {
            Candidate::Audited => Ok(&self.audited),
            Candidate::ThousandRoutes => self.thousand.as_ref().ok_or_else(|| "it was not started".into()),
            _ => Ok(&self.quiet),
        }
    }

    fn process(&self, candidate: Candidate) -> Outcome<&Process> {
        match candidate {
            Candidate::Nginx(_) => Ok(&self.nginx.process),
            _ => Ok(&self.signed_in(candidate)?.gateway.process),
        }
    }
}

impl SignedIn {
    async fn start(binary: &Path, log: &str, okta: &Okta) -> Outcome<Self> {
        let gateway = Gateway::start(GatewayOptions { binary, arguments: &[], log, redis: "" }, okta).await?;
        let (_, tokens) = gateway.sign_in().await?;
        Ok(Self { gateway, token: tokens.access_token })
    }
}
