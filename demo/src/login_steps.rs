//! `--once`: the steps of an MCP client from the first 401 to a refreshed token, each with its duration.

use crate::world::DICE;
use crate::{Outcome, print_line};
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Login, Session};
use serde_json::json;
use std::time::{Duration, Instant};

/// Redirect URI without a listener: the scripted browser stops at it.
const CALLBACK: &str = "http://localhost:43110/callback";
/// Timeout of all steps.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Runs all steps; fails when a step fails or the tool returns no dice.
pub(crate) async fn run(base_url: &str) -> Outcome<()> {
    let started = Instant::now();
    tokio::time::timeout(TIMEOUT, steps(base_url)).await.map_err(|_| "timeout after one minute")??;
    print_line(&format!("{:>8} ms  from the first request to here", started.elapsed().as_millis()));
    Ok(())
}

async fn steps(base_url: &str) -> Outcome<()> {
    let endpoint = format!("{base_url}{DICE}mcp");
    let mut timer = StepTimer::start();
    let discovered = client::discover(&endpoint).await?;
    timer.step("discover", &format!("{endpoint} requires a token of {}", discovered.issuer));
    let client = discovered.register("Demo client", "none", CALLBACK).await?;
    timer.step("register", &format!("client {}… is sealed, and stored nowhere", &client.id[..12]));
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await?;
    timer.step("consent, sign in", "alice approved, then signed in at the stand-in Okta");
    let tokens = client.redeem(&code).await?;
    timer.step("redeem the code", &format!("a token for {} s", tokens.expires_in));
    let mut session = Session::open(&endpoint, &tokens.access_token).await?;
    timer.step("initialize", &format!("the server is {}", session.server["serverInfo"]["name"]));
    let tools = session.tools().await?;
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    timer.step("list the tools", &names.join(", "));
    timer.step("roll two dice", &roll(&mut session).await?);
    let refresh_token = tokens.refresh_token.ok_or("there is no refresh token")?;
    let fresh = client.refresh(&refresh_token).await?;
    timer.step("refresh", "a new token, and a new refresh token");
    session.use_token(&fresh.access_token);
    timer.step("roll two dice", &roll(&mut session).await?);
    session.close().await?;
    Ok(())
}

/// Calls the tool `roll` and checks that it returns two numbers from 1 to 6.
async fn roll(session: &mut Session) -> Outcome<String> {
    let shown = session.call("roll", json!({ "sides": 6, "count": 2 })).await?;
    let numbers: Vec<Option<u8>> = shown.split(", ").map(|number| number.parse().ok()).collect();
    let dice = numbers.iter().all(|number| number.is_some_and(|number| (1..=6).contains(&number)));
    if numbers.len() == 2 && dice { Ok(shown) } else { Err(format!("two dice cannot show {shown:?}").into()) }
}

struct StepTimer(Instant);

impl StepTimer {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Prints a completed step with its duration.
    fn step(&mut self, what: &str, outcome: &str) {
        print_line(&format!("{:>8.1} ms  {what:<17} {outcome}", self.0.elapsed().as_secs_f64() * 1000.0));
        self.0 = Instant::now();
    }
}
