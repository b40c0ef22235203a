//! Route table: a hash table that finds the route of a path in one pass, independent of the number of routes.
//!
//! It is a constant, computed by the compiler; routers such as matchit are built at startup.

#[cfg(test)]
mod tests;

use crate::Route;

/// Routes with a hash index by pattern.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    routes: &'static [Route],
    slots: &'static [u16],
    /// Length of the longest pattern, in bytes; the rest of a path is not hashed.
    max_pattern_bytes: usize,
}

/// Match of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Index in [`Table::routes`].
    pub index: usize,
    /// Matched route.
    pub route: &'static Route,
    /// Offset of the rest of the path after the pattern's last slash; the length of the path for the bare `/mcp/dice`.
    pub rest: usize,
}

const EMPTY: u16 = u16::MAX;
const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

impl Table {
    /// Creates a table from routes and the slots of [`Table::slots`].
    ///
    /// # Panics
    /// At compile time, when the number of slots is not [`Table::size`].
    pub const fn new(routes: &'static [Route], slots: &'static [u16]) -> Self {
        assert!(slots.len() == Self::size(routes.len()), "use Table::slots and Table::size");
        let mut max_pattern_bytes = 0;
        let mut route = 0;
        while route < routes.len() {
            if routes[route].pattern.len() > max_pattern_bytes {
                max_pattern_bytes = routes[route].pattern.len();
            }
            route += 1;
        }
        Self { routes, slots, max_pattern_bytes }
    }

    /// Number of slots of a table with `routes` routes: a power of two, at most a quarter full.
    pub const fn size(routes: usize) -> usize {
        (routes * 4 + 1).next_power_of_two()
    }

    /// Computes the hash index of `routes`: open addressing with linear probing, three quarters empty to keep lookups
    /// short.
    ///
    /// # Panics
    /// At compile time, when two routes have the same pattern, or one does not start and end with a slash.
    pub const fn slots<const N: usize>(routes: &[Route]) -> [u16; N] {
        assert!(N == Self::size(routes.len()), "N must be Table::size(routes.len())");
        assert!(routes.len() < EMPTY as usize, "too many routes");
        let mut slots = [EMPTY; N];
        let mut route = 0;
        while route < routes.len() {
            let pattern = routes[route].pattern.as_bytes();
            assert!(matches!(pattern, [b'/', .., b'/']), "a pattern starts and ends with a slash");
            let mut slot = spread(fnv(pattern)) & (N - 1);
            while slots[slot] != EMPTY {
                let taken = routes[slots[slot] as usize].pattern.as_bytes();
                assert!(!equal(taken, pattern), "two routes have the same pattern");
                slot = (slot + 1) & (N - 1);
            }
            #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
            {
                slots[slot] = route as u16;
            }
            route += 1;
        }
        slots
    }

    /// All routes, in the order of the configuration.
    pub const fn routes(&self) -> &'static [Route] {
        self.routes
    }

    /// Finds the route with the longest pattern that is a prefix of `path`; `/mcp/dice` also matches `/mcp/dice/`. The
    /// path is not decoded.
    pub fn find(&self, path: &str) -> Option<Found> {
        let bytes = path.as_bytes();
        let mut hash = FNV_OFFSET;
        let mut found = None;
        for (position, byte) in bytes.iter().take(self.max_pattern_bytes).enumerate() {
            hash = fnv_step(hash, *byte);
            if *byte == b'/'
                && let Some(index) = self.probe(hash, &bytes[..=position], b"")
            {
                found = Some(Found { index, route: &self.routes[index], rest: position + 1 });
            }
        }
        // Only a path shorter than the longest pattern can be bare, and only such a path was hashed completely.
        if bytes.len() < self.max_pattern_bytes
            && !path.ends_with('/')
            && let Some(index) = self.probe(fnv_step(hash, b'/'), bytes, b"/")
        {
            found = Some(Found { index, route: &self.routes[index], rest: path.len() });
        }
        found
    }

    /// Looks up the route whose pattern is `prefix` followed by `slash`, with the hash `hash`.
    fn probe(&self, hash: u32, prefix: &[u8], slash: &[u8]) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut slot = spread(hash) & mask;
        while self.slots[slot] != EMPTY {
            let index = usize::from(self.slots[slot]);
            let pattern = self.routes[index].pattern.as_bytes();
            // Lengths are compared first, because colliding patterns usually differ in length.
            if pattern.len() == prefix.len() + slash.len()
                && pattern.starts_with(prefix)
                && pattern.ends_with(slash)
            {
                return Some(index);
            }
            slot = (slot + 1) & mask;
        }
        None
    }
}

/// [`fnv_step`] over all bytes, inlined, because the compiler limits the number of calls in a constant.
const fn fnv(bytes: &[u8]) -> u32 {
    let mut hash = FNV_OFFSET as u64;
    let mut position = 0;
    while position < bytes.len() {
        hash = ((hash ^ bytes[position] as u64) * FNV_PRIME as u64) & u32::MAX as u64;
        position += 1;
    }
    #[expect(clippy::cast_possible_truncation, reason = "masked to 32 bits")]
    {
        hash as u32
    }
}

const fn fnv_step(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(FNV_PRIME)
}

/// Folds the high bits into the low ones before masking, because FNV's low bits are weak for short keys.
const fn spread(hash: u32) -> usize {
    (hash ^ (hash >> 15)) as usize
}

/// Compares from the end, where patterns usually differ.
const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut left = a.len();
    while left > 0 {
        left -= 1;
        if a[left] != b[left] {
            return false;
        }
    }
    true
}
