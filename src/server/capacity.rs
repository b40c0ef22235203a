//! The number of connections that the process can hold, by its limit of open files.

use gateway_routes::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Connections that each thread accepts beyond the limits, to answer probes and to refuse everything else.
pub(super) const RESERVE_PER_THREAD: usize = 16;
/// Files of each thread besides: its listener, its runtime, a connection that is being accepted.
const FILES_PER_THREAD: usize = 8;
/// Files of everything else: store, Okta, fetched documents, the log, the control runtime.
const OTHER_FILES: usize = 96;
/// Files of one connection: its own, and the one to the MCP server for its request.
const FILES_PER_CONNECTION: usize = 2;
/// Below this number of connections the gateway does not start.
const MIN_CONNECTIONS: usize = 16;

/// The limits that apply to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capacity {
    /// Connections and concurrent requests, all addresses together.
    pub(super) connections: usize,
    /// The same, of one address.
    pub(super) per_address: usize,
}

/// Raises the soft limit of open files to the hard limit. Returns the limit that applies then; `None` is unlimited.
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
    /// The configured limits, or less where the process may open too few files; the log says so.
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
            files.map_or(wanted, |files| files.saturating_sub(files_besides(threads)) / FILES_PER_CONNECTION);
        if possible >= wanted {
            return Ok(Self { connections: wanted, per_address });
        }
        if possible < MIN_CONNECTIONS {
            let least = files_besides(threads) + MIN_CONNECTIONS * FILES_PER_CONNECTION;
            return Err(io::Error::other(format!(
                "the process may open {} files and needs {least} at the least: raise the hard limit \
                 (LimitNOFILE=, ulimit -Hn)",
                files.unwrap_or_default()
            )));
        }
        // One address keeps its share.
        let per_address = (per_address * possible / wanted).max(1);
        Ok(Self { connections: possible, per_address })
    }
}

/// Files that are not those of connections.
const fn files_besides(threads: usize) -> usize {
    OTHER_FILES + threads * (RESERVE_PER_THREAD + FILES_PER_THREAD)
}

/// Files that the configured limits need.
const fn files_for(limits: &Limits, threads: usize) -> usize {
    files_besides(threads) + limits.connections as usize * FILES_PER_CONNECTION
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
    fn each_connection_leaves_a_file_for_its_upstream_and_one_address_keeps_its_share() {
        assert_eq!(capacity(1_024), (440, 110));
        assert_eq!(capacity(files_for(&Limits::DEFAULT, 2) - 1), (8_999, 2_249));
    }

    #[test]
    fn too_few_files_for_anything_are_an_error_that_says_what_to_do() {
        let refused = Capacity::within(&Limits::DEFAULT, 2, Some(100)).unwrap_err().to_string();
        assert!(refused.contains("100 files") && refused.contains("LimitNOFILE"), "{refused}");
    }
}
