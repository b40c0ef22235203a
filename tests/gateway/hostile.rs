//! Parsers of untrusted input, tested with thousands of almost valid inputs: none may panic or violate its
//! invariants. The inputs are the same in every run.

mod claims;
mod clients;
mod credentials;
mod event_stream;
mod forwarding;
mod oauth;
mod site;
mod text;
mod upstream_response;

#[expect(unreachable_pub, reason = "compiled sites are public where they are included")]
mod go_program_site {
    include!("../../routes/tests/golden/go-program/site.rs");
}

/// Parser of untrusted input.
pub(crate) struct Target {
    /// Its name, and the name of its folder in `fuzz/corpus/`.
    pub(crate) name: &'static str,
    /// Parses the input; panics when an invariant is violated.
    pub(crate) run: fn(&[u8]),
    /// Almost valid inputs, and inputs that once violated an invariant.
    pub(crate) seeds: &'static [&'static str],
}

/// All targets; `fuzz/` runs them under libFuzzer.
pub(crate) const TARGETS: &[Target] = &[
    oauth::REDIRECT_URI,
    oauth::AUTHORIZATION_REQUEST,
    oauth::REGISTRATION,
    oauth::CLIENT_AUTHENTICATION,
    oauth::BEARER,
    clients::DOCUMENT_URL,
    clients::CLIENT_DOCUMENT,
    clients::ASSERTION,
    credentials::JWT,
    credentials::KEY_SET,
    credentials::SEALED,
    text::PATH,
    text::NAME,
    claims::CLAIMS,
    claims::ID_TOKEN,
    claims::OKTA_METADATA,
    claims::RESOURCE,
    upstream_response::UPSTREAM_RESPONSE,
    forwarding::COOKIES,
    event_stream::EVENT_STREAM,
    forwarding::FORWARDED_FOR,
    forwarding::HEADERS,
    forwarding::LOCATION,
    forwarding::RESPONSE_HEADERS,
    forwarding::SERVER_TARGET,
    site::SITE,
];

/// The input, if it is UTF-8.
fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

const MUTATIONS: usize = 3_000;

/// Deterministic generator of numbers (`SplitMix64`): the same mutations in every run.
struct NumberGenerator(u64);

impl NumberGenerator {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1) as u64).unwrap()
    }
}

/// Fragments that are often parsed incorrectly.
const FRAGMENTS: [&str; 24] = [
    "",
    "\0",
    "%",
    "%2e",
    "%2F",
    "%00",
    "/",
    "//",
    "\\",
    "..",
    "@",
    "#",
    "?",
    "&",
    "=",
    ":",
    ".",
    "\"",
    "\u{202e}",
    "\u{e9}",
    "{",
    "[",
    "9999999999999999999",
    "null",
];

fn mutated(seed: &[u8], numbers: &mut NumberGenerator) -> Vec<u8> {
    let mut input = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(input.len() + 1);
        let end = (at + numbers.below(8)).min(input.len());
        match numbers.below(4) {
            0 => drop(input.splice(at..end, FRAGMENTS[numbers.below(FRAGMENTS.len())].bytes())),
            1 => drop(input.drain(at..end)),
            2 if at < input.len() => input[at] ^= 1 << numbers.below(8),
            _ => {
                let copy = input[at..end].to_vec();
                let to = numbers.below(input.len() + 1);
                drop(input.splice(to..to, copy));
            }
        }
    }
    input
}

#[test]
fn seeds_and_their_mutations_pass_every_target() {
    for target in TARGETS {
        let mut numbers = NumberGenerator(7);
        for seed in target.seeds {
            (target.run)(seed.as_bytes());
            for _ in 0..MUTATIONS / target.seeds.len() {
                (target.run)(&mutated(seed.as_bytes(), &mut numbers));
            }
        }
    }
}

#[test]
fn the_fuzz_corpus_passes_every_target() {
    let corpus = crate::workspace().join("fuzz/corpus");
    for target in TARGETS {
        for entry in std::fs::read_dir(corpus.join(target.name)).into_iter().flatten() {
            (target.run)(&std::fs::read(entry.unwrap().path()).unwrap());
        }
    }
}
