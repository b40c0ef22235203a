//! `--once`: what an MCP client does, from the first 401 to a refreshed token, each step with its time.

use crate::world::DICE;
use crate::{Outcome, say};
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Login, Session};
use serde_json::json;
use std::time::{Duration, Instant};

/// Nothing listens there: the scripted browser stops when it is sent to it.
const CALLBACK: &str = "http://localhost:43110/callback";
/// A demo that hangs has failed.
const LIMIT: Duration = Duration::from_mins(1);

/// Walks all of it; an error when any step fails or the dice do not answer.
pub(crate) async fn walk(base_url: &str) -> Outcome<()> {
    let started = Instant::now();
    tokio::time::timeout(LIMIT, steps(base_url)).await.map_err(|_| "no end after a minute")??;
    say(&format!("{:>8} ms  from the first request to here", started.elapsed().as_millis()));
    Ok(())
}

async fn steps(base_url: &str) -> Outcome<()> {
    let endpoint = format!("{base_url}{DICE}mcp");
    let mut watch = Watch::start();
    let discovered = client::discover(&endpoint).await?;
    watch.step("discover", &format!("{endpoint} asks for a token of {}", discovered.issuer));
    let client = discovered.register("Demo client", "none", CALLBACK).await?;
    watch.step("register", &format!("client {}… is sealed, and stored nowhere", &client.id[..12]));
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await?;
    watch.step("consent, sign in", "alice approved, then signed in at the stand-in Okta");
    let tokens = client.redeem(&code).await?;
    watch.step("redeem the code", &format!("a token for {} s", tokens.expires_in));
    let mut session = Session::open(&endpoint, &tokens.access_token).await?;
    watch.step("initialize", &format!("the server is {}", session.server["serverInfo"]["name"]));
    let tools = session.tools().await?;
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    watch.step("list the tools", &names.join(", "));
    watch.step("roll two dice", &roll(&mut session).await?);
    let refresh_token = tokens.refresh_token.ok_or("there is no refresh token")?;
    let fresh = client.refresh(&refresh_token).await?;
    watch.step("refresh", "a new token, and a new refresh token");
    session.use_token(&fresh.access_token);
    watch.step("roll two dice", &roll(&mut session).await?);
    session.close().await?;
    Ok(())
}

/// Two numbers from 1 to 6, or an error: what else comes back is no answer of the tool.
async fn roll(session: &mut Session) -> Outcome<String> {
    let shown = session.call("roll", json!({ "sides": 6, "count": 2 })).await?;
    let numbers: Vec<Option<u8>> = shown.split(", ").map(|number| number.parse().ok()).collect();
    let dice = numbers.iter().all(|number| number.is_some_and(|number| (1..=6).contains(&number)));
    if numbers.len() == 2 && dice { Ok(shown) } else { Err(format!("two dice cannot show {shown:?}").into()) }
}

struct Watch(Instant);

impl Watch {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Tells of a step that has just ended.
    fn step(&mut self, what: &str, outcome: &str) {
        say(&format!("{:>8.1} ms  {what:<17} {outcome}", self.0.elapsed().as_secs_f64() * 1000.0));
        self.0 = Instant::now();
    }
}
