//! Rotation compared with a model of the contract: two clients that share a grant, lost responses, repetitions,
//! races, delays and revocations, in any order. `PROPTEST_CASES` sets the number of cases, `MODEL_SEED` the seed,
//! which a failure prints. By default, every run has the same cases.

use super::fixture::StoreFixture;
use gateway::base::clock::Timestamp;
use gateway::store::{GrantId, GrantRecord, Reuse, Rotate, Rotation};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::cell::Cell;
use std::time::Duration;

const GRACE: Duration = Duration::from_mins(1);
const TTL: Duration = Duration::from_hours(2);
/// Default number of cases.
const DEFAULT_CASES: u32 = 64;

#[derive(Debug, Clone)]
enum Event {
    /// One of the two clients uses its token; the response may be lost.
    Refresh {
        client: usize,
        lost: bool,
    },
    /// Both clients use their tokens concurrently.
    Race,
    /// An older token is used, or one that was never issued.
    Replay {
        back: u32,
    },
    Wait(Duration),
    Revoke,
}

fn event() -> impl Strategy<Value = Event> {
    let seconds = prop_oneof![Just(0), Just(1), 58..63u64, Just(3600), Just(7199), Just(7200)];
    prop_oneof![
        12 => (0..2usize, any::<bool>()).prop_map(|(client, lost)| Event::Refresh { client, lost }),
        3 => Just(Event::Race),
        2 => (0..5u32).prop_map(|back| Event::Replay { back }),
        6 => seconds.prop_map(|seconds| Event::Wait(Duration::from_secs(seconds))),
        1 => Just(Event::Revoke),
    ]
}

/// State of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Unused,
    Used { at: Timestamp, successor: usize },
    Skipped,
}

/// Result of a rotation.
#[derive(Debug, PartialEq, Eq)]
enum RotationOutcome {
    Token(u32),
    Unknown,
    Reused,
    Gone,
}

/// Model of the contract, token by token; the store only has generations.
#[derive(Clone)]
struct Model {
    /// The token of generation `n + 1` at index `n`.
    tokens: Vec<Token>,
    ends_at: Timestamp,
    alive: bool,
    on_reuse: Reuse,
}

impl Model {
    fn present(&mut self, generation: u32, now: Timestamp) -> RotationOutcome {
        if !self.alive || now >= self.ends_at {
            return RotationOutcome::Gone;
        }
        let place = generation as usize - 1;
        match self.tokens.get(place).copied() {
            None => RotationOutcome::Unknown,
            Some(Token::Unused) => self.rotate(place, now),
            Some(Token::Used { at, successor }) if matches!(self.tokens[successor], Token::Unused) => {
                if now.since(at) <= GRACE {
                    return RotationOutcome::Token(u32::try_from(successor).unwrap() + 1);
                }
                self.tokens[successor] = Token::Skipped;
                self.rotate(place, now)
            }
            Some(Token::Used { .. } | Token::Skipped) => {
                self.alive = self.on_reuse == Reuse::Refuse;
                RotationOutcome::Reused
            }
        }
    }

    fn rotate(&mut self, place: usize, now: Timestamp) -> RotationOutcome {
        self.tokens[place] = Token::Used { at: now, successor: self.tokens.len() };
        self.tokens.push(Token::Unused);
        self.ends_at = now.after(TTL);
        RotationOutcome::Token(u32::try_from(self.tokens.len()).unwrap())
    }
}

/// Grant in the store and in the model, with the tokens of its two clients.
struct Run<'a> {
    fixture: &'a StoreFixture,
    id: GrantId,
    model: Model,
    holds: [u32; 2],
}

impl Run<'_> {
    async fn apply(&mut self, event: &Event) {
        match *event {
            Event::Refresh { client, lost } => {
                let response = self.present(self.holds[client]).await;
                if let (RotationOutcome::Token(generation), false) = (response, lost) {
                    self.holds[client] = generation;
                }
            }
            Event::Race => self.race().await,
            Event::Replay { back } => {
                let newest = u32::try_from(self.model.tokens.len()).unwrap();
                self.present((newest + 1).saturating_sub(back).max(1)).await;
            }
            Event::Wait(duration) => self.fixture.clock.advance(duration),
            Event::Revoke => {
                let was_alive = self.model.alive && self.fixture.clock.now() < self.model.ends_at;
                assert_eq!(self.fixture.store.revoke(self.id).await.unwrap(), was_alive);
                self.model.alive = false;
            }
        }
        let alive = self.fixture.store.grant(self.id).await.unwrap().is_some();
        assert_eq!(alive, self.model.alive && self.fixture.clock.now() < self.model.ends_at);
    }

    async fn present(&mut self, presented: u32) -> RotationOutcome {
        let response = self.rotate_token(presented).await;
        let now = self.fixture.clock.now();
        assert_eq!(response, self.model.present(presented, now), "generation {presented}");
        response
    }

    /// Two concurrent uses have the results of two sequential ones, in either order.
    async fn race(&mut self) {
        let [first, second] = self.holds;
        let responses = tokio::join!(self.rotate_token(first), self.rotate_token(second));
        let now = self.fixture.clock.now();
        let (mut one, mut other) = (self.model.clone(), self.model.clone());
        let in_order = (one.present(first, now), one.present(second, now));
        let behind = other.present(second, now);
        let reversed = (other.present(first, now), behind);
        assert!(
            responses == in_order || responses == reversed,
            "{first} and {second} at once: {responses:?}"
        );
        self.model = if responses == in_order { one } else { other };
        for (holds, response) in self.holds.iter_mut().zip([responses.0, responses.1]) {
            if let RotationOutcome::Token(generation) = response {
                *holds = generation;
            }
        }
    }

    async fn rotate_token(&self, presented: u32) -> RotationOutcome {
        let expires_at = self.fixture.clock.now().after(TTL);
        let rotate = Rotate { presented, grace: GRACE, expires_at, on_reuse: self.model.on_reuse };
        match self.fixture.store.rotate(self.id, rotate).await.unwrap() {
            Rotation::Fresh { record } | Rotation::Same { record } => {
                RotationOutcome::Token(record.generation)
            }
            Rotation::Unknown => RotationOutcome::Unknown,
            Rotation::Reused => RotationOutcome::Reused,
            Rotation::Gone => RotationOutcome::Gone,
        }
    }
}

/// Seed of all randomness in a run, and a runner that uses it.
fn runner() -> (u64, TestRunner) {
    let seed = std::env::var("MODEL_SEED").map_or(1_u64, |seed| seed.parse().unwrap());
    // Failures are not stored: the seed reproduces them.
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = DEFAULT_CASES;
    }
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    (seed, TestRunner::new_with_rng(config, random))
}

fn check_model(fixture: &StoreFixture, runtime: &tokio::runtime::Runtime) {
    let next = Cell::new(0_u128);
    let (seed, mut runner) = runner();
    let orders = (proptest::collection::vec(event(), 1..40), any::<bool>());
    let held = runner.run(&orders, |(events, revokes)| {
        next.set(next.get() + 1);
        let id = GrantId(next.get().to_be_bytes());
        let record = GrantRecord { id, expires_at: fixture.clock.now().after(TTL), ..fixture.record(0) };
        let model = Model {
            tokens: vec![Token::Unused],
            ends_at: record.expires_at,
            alive: true,
            on_reuse: if revokes { Reuse::Revoke } else { Reuse::Refuse },
        };
        runtime.block_on(async {
            assert!(fixture.store.create_grant(record).await.unwrap());
            let mut run = Run { fixture, id, model, holds: [1, 1] };
            for event in &events {
                run.apply(event).await;
            }
        });
        Ok(())
    });
    held.unwrap_or_else(|broken| panic!("MODEL_SEED={seed}: {broken}"));
}

#[test]
fn rotation_matches_the_model_in_the_embedded_store() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    check_model(&StoreFixture::embedded(), &runtime);
}

#[test]
fn rotation_matches_the_model_in_redis() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    check_model(&StoreFixture::redis(), &runtime);
}
