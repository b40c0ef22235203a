//! Random strings and numbers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};

/// 192 random bits as 32 URL-safe characters.
pub(crate) fn token() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<24>())
}

/// Number in `0..bound` with negligible bias. `bound` must not be 0.
pub(crate) fn below(bound: u32) -> u32 {
    let wide = u64::from_le_bytes(bytes());
    u32::try_from(wide % u64::from(bound)).expect("a remainder is below its divisor")
}

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system provides randomness");
    bytes
}
