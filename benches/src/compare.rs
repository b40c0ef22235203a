//! Comparison of candidates in alternating runs of a few seconds, in rotating order.

use crate::arguments::Options;
use crate::report::{self, Comparison};
use crate::scenarios::{self, Candidate, Scenario};
use crate::servers::Servers;
use crate::{Outcome, backend, flows, print_line, signed_tokens, site, streams};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::LocalSet;

/// Number of tokens of [`Candidate::ManyTokens`].
const MANY_TOKENS: usize = 100_000;
const WARM_UP: Duration = Duration::from_secs(1);

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
    let servers = Servers::start(&binaries.one, binaries.thousand.as_deref()).await?;
    let mut results = String::new();
    for scenario in selected_scenarios(options) {
        let comparison = compare_candidates(&servers, scenario, options).await?.to_string();
        print_line(&comparison);
        results.push_str(&comparison);
    }
    results.push_str(&beyond_requests(&servers, &binaries.one, options).await?);
    if options.quick || options.only.is_some() { Ok(()) } else { report::write(options, &results) }
}

async fn compare_candidates(
    servers: &Servers,
    scenario: &Scenario,
    options: &Options,
) -> Outcome<Comparison> {
    let (rounds, duration) = options.turns();
    if scenario.candidates.contains(&Candidate::ManyTokens) {
        signed_tokens::write(&servers.quiet.gateway, &servers.quiet.token, MANY_TOKENS)?;
        // Long enough to send each token once.
        servers.turn(scenario, Candidate::ManyTokens, Duration::from_secs(20)).await?;
    }
    for candidate in scenario.candidates {
        servers.turn(scenario, *candidate, WARM_UP).await?;
    }
    let mut turns = vec![Vec::new(); scenario.candidates.len()];
    for round in 0..rounds {
        for index in 0..scenario.candidates.len() {
            let which = (index + round) % scenario.candidates.len();
            turns[which].push(servers.turn(scenario, scenario.candidates[which], duration).await?);
        }
    }
    Ok(Comparison { scenario: scenario.name, candidates: scenario.candidates.to_vec(), turns })
}

/// Measures streams, logins and startup.
async fn beyond_requests(servers: &Servers, binary: &Path, options: &Options) -> Outcome<String> {
    let (rounds, duration) = options.turns();
    let selected = |name: &str| match &options.only {
        Some(part) => name.contains(part.as_str()),
        None => !options.quick,
    };
    let mut results = String::new();
    if selected("stream latency") {
        results.push_str(&streams::latency(servers, rounds.min(3)).await?);
    }
    if selected("cancellation") {
        results.push_str(&streams::cancellation(servers).await?);
    }
    if selected("idle streams") {
        let rest = Duration::from_secs(options.idle);
        results.push_str(&streams::idle(servers, options.streams, rest).await?);
    }
    if selected("logins and refreshes") {
        results.push_str(&flows::flows(servers, binary, rounds, duration).await?);
    }
    if selected("start") {
        results.push_str(&flows::start_up(servers, binary).await?);
    }
    Ok(results)
}
