//! Comparison of candidates in alternating runs of a few seconds, in rotating order.

use crate::arguments::Options;
use crate::gateway::{Gateway, MCP_PATH, Setup};
use crate::load::{Load, Tokens};
use crate::nginx;
use crate::process::Process;
use crate::report::{self, Comparison};
use crate::scenarios::{self, Candidate, Scenario};
use crate::{Outcome, backend, flows, minted, print_line, site, streams};
use gateway_standins::okta::{Okta, OktaOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::LocalSet;

/// Number of tokens of [`Candidate::ManyTokens`].
const MANY_TOKENS: usize = 100_000;
/// New tokens for each second of [`Candidate::ColdTokens`], more than can be used.
const COLD_TOKENS_PER_SECOND: usize = 30_000;
const WARM_UP: Duration = Duration::from_secs(1);

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

/// Release binaries to be measured.
pub(crate) struct Binaries {
    one: PathBuf,
    thousand: Option<PathBuf>,
}

impl Binaries {
    /// Builds the binaries that the scenarios need.
    pub(crate) fn build(options: &Options) -> Outcome<Self> {
        let mut scenarios = selected_scenarios(options);
        let thousand = scenarios.any(|scenario| scenario.candidates.contains(&Candidate::ThousandRoutes));
        let build = !options.no_build;
        let one = site::one_route(build)?;
        Ok(Self { one, thousand: thousand.then(|| site::thousand_routes(build)).transpose()? })
    }
}

fn selected_scenarios(options: &Options) -> impl Iterator<Item = &'static Scenario> {
    scenarios::ALL.iter().filter(|scenario| {
        let named = options.only.as_ref().is_none_or(|part| scenario.name.contains(part));
        named && (scenario.quick || !options.quick)
    })
}

/// Compares the candidates and prints the results; writes the report unless only a part was run.
pub(crate) async fn run(options: Options, binaries: Binaries) -> Outcome<()> {
    LocalSet::new().run_until(compare(&options, &binaries)).await
}

async fn compare(options: &Options, binaries: &Binaries) -> Outcome<()> {
    backend::start().await?;
    let servers = Servers::start(binaries).await?;
    let mut results = String::new();
    for scenario in selected_scenarios(options) {
        let comparison = servers.compare(scenario, options).await?.to_string();
        print_line(&comparison);
        results.push_str(&comparison);
    }
    results.push_str(&servers.beyond_requests(&binaries.one, options).await?);
    if options.quick || options.only.is_some() { Ok(()) } else { report::write(options, &results) }
}

impl Servers {
    async fn start(binaries: &Binaries) -> Outcome<Self> {
        let okta = Okta::start(OktaOptions::default()).await?;
        let quiet = SignedIn::start(&binaries.one, "warn", &okta).await?;
        let audited = SignedIn::start(&binaries.one, "info", &okta).await?;
        let thousand = match &binaries.thousand {
            Some(binary) => Some(SignedIn::start(binary, "warn", &okta).await?),
            None => None,
        };
        Ok(Self { quiet, audited, thousand, nginx: nginx::Running::start().await?, okta })
    }

    async fn compare(&self, scenario: &Scenario, options: &Options) -> Outcome<Comparison> {
        let (rounds, duration) = options.turns();
        if scenario.candidates.contains(&Candidate::ManyTokens) {
            minted::tokens(&self.quiet.gateway, &self.quiet.token, MANY_TOKENS)?;
            // Long enough to send each token once.
            self.turn(scenario, Candidate::ManyTokens, Duration::from_secs(20)).await?;
        }
        for candidate in scenario.candidates {
            self.turn(scenario, *candidate, WARM_UP).await?;
        }
        let mut turns = vec![Vec::new(); scenario.candidates.len()];
        for round in 0..rounds {
            for index in 0..scenario.candidates.len() {
                let which = (index + round) % scenario.candidates.len();
                turns[which].push(self.turn(scenario, scenario.candidates[which], duration).await?);
            }
        }
        Ok(Comparison { scenario: scenario.name, candidates: scenario.candidates.to_vec(), turns })
    }

    /// Measures streams, logins and startup.
    async fn beyond_requests(&self, binary: &Path, options: &Options) -> Outcome<String> {
        let (rounds, duration) = options.turns();
        let selected = |name: &str| match &options.only {
            Some(part) => name.contains(part.as_str()),
            None => !options.quick,
        };
        let mut results = String::new();
        if selected("stream latency") {
            results.push_str(&streams::latency(self, rounds.min(3)).await?);
        }
        if selected("cancellation") {
            results.push_str(&streams::cancellation(self).await?);
        }
        if selected("idle streams") {
            let rest = Duration::from_secs(options.idle);
            results.push_str(&streams::idle(self, options.streams, rest).await?);
        }
        if selected("logins and refreshes") {
            results.push_str(&flows::flows(self, binary, rounds, duration).await?);
        }
        if selected("start") {
            results.push_str(&flows::start_up(self, binary).await?);
        }
        Ok(results)
    }

    async fn turn(&self, scenario: &Scenario, who: Candidate, duration: Duration) -> Outcome<RunResult> {
        let load = self.load(scenario, who, duration)?;
        let process = self.process(who)?;
        let before = process.cpu_time()?;
        let seen = load.run(duration).await.map_err(|error| format!("{}: {error}", who.name()))?;
        let used = process.cpu_time()?.saturating_sub(before);
        Ok(RunResult {
            requests_per_second: seen.requests / seen.elapsed.as_secs_f64(),
            cpu: used.as_secs_f64() * 1e6 / seen.requests,
            p50: seen.p50,
            p99: seen.p99,
        })
    }

    fn load(&self, scenario: &Scenario, who: Candidate, duration: Duration) -> Outcome<Load> {
        let seconds = usize::try_from(duration.as_secs())?;
        let signed_in = self.signed_in(who)?;
        let tokens = match who {
            Candidate::ColdTokens => {
                let count = COLD_TOKENS_PER_SECOND * seconds;
                Tokens::Many(minted::tokens(&signed_in.gateway, &signed_in.token, count)?)
            }
            Candidate::ManyTokens => Tokens::Many(site::folder().join("tokens")),
            _ => Tokens::One(signed_in.token.clone()),
        };
        let address = match who {
            Candidate::Nginx(which) => self.nginx.address(which),
            _ => signed_in.gateway.address.clone(),
        };
        let http2 = matches!(who, Candidate::H2c | Candidate::Nginx(nginx::Nginx::H2c));
        let path = format!("{MCP_PATH}{}", scenario.path);
        Ok(Load { address, path, body: scenario.body, tokens, connections: scenario.connections, http2 })
    }

    /// Returns the gateway whose token is sent; nginx receives the same requests as the gateway.
    fn signed_in(&self, who: Candidate) -> Outcome<&SignedIn> {
        match who {
            Candidate::Audited => Ok(&self.audited),
            Candidate::ThousandRoutes => self.thousand.as_ref().ok_or_else(|| "it was not started".into()),
            _ => Ok(&self.quiet),
        }
    }

    fn process(&self, who: Candidate) -> Outcome<&Process> {
        match who {
            Candidate::Nginx(_) => Ok(&self.nginx.process),
            _ => Ok(&self.signed_in(who)?.gateway.process),
        }
    }
}

impl SignedIn {
    async fn start(binary: &Path, log: &str, okta: &Okta) -> Outcome<Self> {
        let gateway = Gateway::start(Setup { binary, arguments: &[], log, redis: "" }, okta).await?;
        let (_, tokens) = gateway.sign_in().await?;
        Ok(Self { gateway, token: tokens.access_token })
    }
}
