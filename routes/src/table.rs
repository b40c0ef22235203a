//! Finds the route for a path in one pass over it, at the same cost for one route and for a thousand.

#[cfg(test)]
mod tests;

use crate::Route;

/// The routes and the hash slots that index them by pattern.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    routes: &'static [Route],
    slots: &'static [u16],
    /// The length of the longest pattern: what lies behind it in a path is not looked at.
    longest: usize,
}

/// A route, and where in the path its part ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The route's place in [`Table::routes`].
    pub index: usize,
    /// The route.
    pub route: &'static Route,
    /// Where the rest of the path begins, behind the pattern's last slash; the path's length for the bare
    /// `/mcp/dice`.
    pub rest: usize,
}

const EMPTY: u16 = u16::MAX;
const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

impl Table {
    /// Joins routes with the slots that [`Table::slots`] computed for them.
    ///
    /// # Panics
    /// In the compiler, when the slots are not as many as [`Table::size`] says.
    pub const fn new(routes: &'static [Route], slots: &'static [u16]) -> Self {
        assert!(slots.len() == Self::size(routes.len()), "use Table::slots and Table::size");
        let mut longest = 0;
        let mut route = 0;
        while route < routes.len() {
            if routes[route].pattern.len() > longest {
                longest = routes[route].pattern.len();
            }
            route += 1;
        }
        Self { routes, slots, longest }
    }

    /// How many slots a table of this many routes needs: a power of two, at most a quarter full.
    pub const fn size(routes: usize) -> usize {
        (routes * 4 + 1).next_power_of_two()
    }

    /// The index over `routes`: open addressing with linear probing, three quarters empty, so that a look-up ends soon.
    ///
    /// # Panics
    /// In the compiler, when two routes have the same pattern, or one does not start and end with a slash.
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

    /// The route with the longest pattern that `path` starts with; `/mcp/dice` finds `/mcp/dice/` too.
    /// The path is taken as it came: nothing is decoded.
    pub fn find(&self, path: &str) -> Option<Found> {
        let bytes = path.as_bytes();
        let mut hash = FNV_OFFSET;
        let mut found = None;
        for (place, byte) in bytes.iter().take(self.longest).enumerate() {
            hash = fnv_step(hash, *byte);
            if *byte == b'/'
                && let Some(index) = self.probe(hash, &bytes[..=place], b"")
            {
                found = Some(Found { index, route: &self.routes[index], rest: place + 1 });
            }
        }
        // Only a path shorter than some pattern was hashed to its end, and only such a one can be bare.
        if bytes.len() < self.longest
            && !path.ends_with('/')
            && let Some(index) = self.probe(fnv_step(hash, b'/'), bytes, b"/")
        {
            found = Some(Found { index, route: &self.routes[index], rest: path.len() });
        }
        found
    }

    /// The route whose pattern is `prefix` and then `slash`, which hash to `hash`.
    fn probe(&self, hash: u32, prefix: &[u8], slash: &[u8]) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut slot = spread(hash) & mask;
        while self.slots[slot] != EMPTY {
            let index = usize::from(self.slots[slot]);
            let pattern = self.routes[index].pattern.as_bytes();
            // Their lengths first: the routes that share a slot with others differ in them more often than not.
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

/// [`fnv_step`] over all bytes, without a call for each: the compiler counts the calls in a constant.
const fn fnv(bytes: &[u8]) -> u32 {
    let mut hash = FNV_OFFSET as u64;
    let mut place = 0;
    while place < bytes.len() {
        hash = ((hash ^ bytes[place] as u64) * FNV_PRIME as u64) & u32::MAX as u64;
        place += 1;
    }
    #[expect(clippy::cast_possible_truncation, reason = "masked to 32 bits")]
    {
        hash as u32
    }
}

const fn fnv_step(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(FNV_PRIME)
}

/// FNV's low bits are weak on short keys: fold the high ones in before masking.
const fn spread(hash: u32) -> usize {
    (hash ^ (hash >> 15)) as usize
}

/// Compares from the end, where patterns differ.
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
