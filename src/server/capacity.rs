//! Connection capacity of the process, derived from its limit of open files.

use gateway_routes::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Number of connections that each thread accepts beyond the limits, to respond to health probes and refuse the rest.
pub(super) const RESERVE_PER_THREAD: usize = 16;
/// Other files of each thread: its listener, its runtime, a connection that is being accepted.
const FILES_PER_THREAD: usize = 8;
/// Files of the rest of the process: store, Okta, fetched documents, the log, the control runtime.
const OTHER_FILES: usize = 96;
/// Files of one connection: its own socket, and the upstream socket of its request.
const FILES_PER_CONNECTION: usize = 2;
/// Minimum number of connections; with fewer the gateway does not start.
const MIN_CONNECTIONS: usize = 16;

/// Effective connection limits of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capacity {
    /// Maximum number of connections and concurrent requests.
    pub(super) connections: usize,
    /// Maximum number of them per address.
    pub(super) per_address: usize,
}

/// Raises the soft limit of open files to the hard limit. Returns the effective limit; `None` is unlimited.
pub fn raise_open_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            current
        }
    }
}

impl Capacity {
    /// Returns the configured limits, or lower ones with a warning if the process may open too few files.
    ///
    /// # Errors
    /// The limit of open files is too low for the minimum number of connections.
    pub(super) fn of_process(limits: &Limits, threads: usize) -> io::Result<Self> {
        let files =
            getrlimit(Resource::Nofile).current.map(|files| usize::try_from(files).unwrap_or(usize::MAX));
        let (capacity, needed) = (Self::within(limits, threads, files)?, files_for(limits, threads));
        if capacity.connections < limits.connections as usize {
            tracing::warn!(
                open_files = files,
                open_files_needed = needed,
                connections = capacity.connections,
                connections_configured = limits.connections,
                connections_per_address = capacity.per_address,
                "fewer connections than configured: raise the limit of open files (LimitNOFILE=, ulimit -Hn)"
            );
        }
        Ok(capacity)
    }

    fn within(limits: &Limits, threads: usize, files: Option<usize>) -> io::Result<Self> {
        let (wanted, per_address) = (limits.connections as usize, limits.connections_per_address as usize);
        let possible =
            files.map_or(wanted, |files| files.saturating_sub(base_files(threads)) / FILES_PER_CONNECTION);
        if possible >= wanted {
            return Ok(Self { connections: wanted, per_address });
        }
        if possible < MIN_CONNECTIONS {
            let minimum = base_files(threads) + MIN_CONNECTIONS * FILES_PER_CONNECTION;
            return Err(io::Error::other(format!(
                "the process may open {} files but needs at least {minimum}: raise the hard limit \
                 (LimitNOFILE=, ulimit -Hn)",
                files.unwrap_or_default()
            )));
        }
        // The share of one address stays the same.
        let per_address = (per_address * possible / wanted).max(1);
        Ok(Self { connections: possible, per_address })
    }
}

/// Returns the number of files that are not for connections.
const fn base_files(threads: usize) -> usize {
    OTHER_FILES + threads * (RESERVE_PER_THREAD + FILES_PER_THREAD)
}

/// Returns the number of files that the configured limits need.
const fn files_for(limits: &Limits, threads: usize) -> usize {
    base_files(threads) + limits.connections as usize * FILES_PER_CONNECTION
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(files: usize) -> (usize, usize) {
        let capacity = Capacity::within(&Limits::DEFAULT, 2, Some(files)).unwrap();
        (capacity.connections, capacity.per_address)
    }

    #[test]
    fn the_configured_limits_apply_where_there_are_enough_files() {
        assert_eq!(capacity(files_for(&Limits::DEFAULT, 2)), (9_000, 2_250));
        assert_eq!(capacity(1_000_000), (9_000, 2_250));
        let unlimited = Capacity::within(&Limits::DEFAULT, 2, None).unwrap();
        assert_eq!(unlimited, Capacity { connections: 9_000, per_address: 2_250 });
    }

    #[test]
    fn fewer_files_reduce_both_limits_in_proportion() {
        assert_eq!(capacity(1_024), (440, 110));
        assert_eq!(capacity(files_for(&Limits::DEFAULT, 2) - 1), (8_999, 2_249));
    }

    #[test]
    fn too_few_files_are_an_error_that_names_the_remedy() {
        let refused = Capacity::within(&Limits::DEFAULT, 2, Some(100)).unwrap_err().to_string();
        assert!(refused.contains("100 files") && refused.contains("LimitNOFILE"), "{refused}");
    }
}
