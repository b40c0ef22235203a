//! Redis Cluster: three primaries with a replica each.

use super::{Certificates, Redis, wait_until};
use crate::port::ReservedPort;
use std::io;
use std::process::{Command, Stdio};

/// Six servers that share the hash slots, stopped on drop.
pub struct Cluster {
    /// Initially, the first three are primaries.
    pub nodes: Vec<Redis>,
    _bus_ports: Vec<ReservedPort>,
}

impl Cluster {
    /// Starts all six and waits until the Cluster accepts commands.
    pub fn start() -> io::Result<Self> {
        Self::start_with(None)
    }

    /// Starts all six with TLS.
    pub fn start_with_tls(certificates: &Certificates) -> io::Result<Self> {
        Self::start_with(Some(certificates))
    }

    fn start_with(tls: Option<&Certificates>) -> io::Result<Self> {
        let bus_ports = (0..6).map(|_| ReservedPort::reserve()).collect::<io::Result<Vec<_>>>()?;
        let node = |bus: &ReservedPort| {
            let bus = bus.number().to_string();
            let settings =
                ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", &bus];
            Redis::start_with(tls, &settings)
        };
        let nodes = bus_ports.iter().map(node).collect::<io::Result<Vec<_>>>()?;
        // Without a timeout it would wait forever for nodes that do not find each other.
        let made = Command::new("timeout")
            .args(["60", "redis-cli", "--cluster", "create", "--cluster-replicas", "1", "--cluster-yes"])
            .args(nodes.iter().map(Redis::address))
            .stdin(Stdio::null())
            .output()?;
        if !made.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&made.stdout).into_owned()));
        }
        let cluster = Self { nodes, _bus_ports: bus_ports };
        let is_up = |node: &Redis| node.response_contains(&["CLUSTER", "INFO"], "cluster_state:ok");
        wait_until("the Cluster takes commands", || cluster.nodes.iter().all(is_up))?;
        let follows =
            |node: &Redis| node.response_contains(&["INFO", "replication"], "master_link_status:up");
        wait_until("the replicas are connected", || {
            cluster.nodes.iter().filter(|node| follows(node)).count() == 3
        })?;
        Ok(cluster)
    }

    /// Kills the primary of this key, waits until its replica has taken over, and restarts it as a replica: writes to
    /// its slots are acknowledged again only then.
    pub fn fail_over(&self, key: &str) -> io::Result<()> {
        let holds = |node: &&Redis| node.is_primary() && node.command(&["EXISTS", key]).is_ok();
        let primary = self.nodes.iter().find(holds).ok_or_else(|| io::Error::other("no node has the key"))?;
        primary.stop();
        let primaries = || self.nodes.iter().filter(|node| node.is_primary()).count();
        wait_until("the replica takes over", || primaries() == 3)?;
        primary.resume()
    }

    /// Makes the nodes announce these ports to each other and to clients, and waits until all do.
    pub fn announce(&self, ports: &[u16]) -> io::Result<()> {
        for (node, port) in self.nodes.iter().zip(ports) {
            node.command(&["CONFIG", "SET", "cluster-announce-port", &port.to_string()])?;
        }
        let names_all = |node: &Redis| {
            let advertised = node.command(&["CLUSTER", "SLOTS"]).unwrap_or_default();
            ports.iter().all(|port| advertised.contains(&format!(":{port}\r\n")))
        };
        wait_until("the nodes announce the new ports", || self.nodes.iter().all(names_all))
    }

    /// Some of the nodes, in the format of `KVS_ADDR`.
    pub fn hosts(&self) -> String {
        let advertised = |node: &Redis| format!("127.0.0.1:{}", node.advertised_port());
        self.nodes.iter().rev().take(3).map(advertised).collect::<Vec<_>>().join(",")
    }

    /// `KVS_ADDR` of the Cluster.
    pub fn address(&self) -> String {
        format!("redis-cluster://{}", self.hosts())
    }
}
