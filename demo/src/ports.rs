//! Selection of TCP ports: the default ports, or free ones where those are in use.

use crate::print_line;
use crate::site::SITE;
use gateway_routes::{Route, Shutdown, Site, Table, Target};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::time::Duration;

/// Returns the port if it is free, else 0, which lets the system choose one.
pub(crate) fn free_or_any(port: u16, server: &str) -> u16 {
    if is_free(port) {
        return port;
    }
    print_line(&format!("Port {port} is in use: {server} uses another one."));
    0
}

/// Finds a free port.
pub(crate) fn find_free() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn is_free(port: u16) -> bool {
    let bind = |address: std::net::IpAddr| TcpListener::bind((address, port));
    // Without IPv6 support, binding fails with another error than AddrInUse.
    let in_use = |error: std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    bind(Ipv4Addr::UNSPECIFIED.into()).is_ok()
        && !bind(Ipv6Addr::UNSPECIFIED.into()).is_err_and(in_use)
        && bind(Ipv4Addr::LOCALHOST.into()).is_ok()
}

/// Returns the compiled site with other local ports as targets of the routes with these patterns.
pub(crate) fn site_with(ports: &[(&str, u16)]) -> &'static Site {
    const SLOTS: usize = Table::size(SITE.table.routes().len());
    let with_port = |route: &Route| match ports.iter().find(|(pattern, _)| *pattern == route.pattern) {
        Some((_, port)) => Route { target: local(route.target, *port), ..*route },
        None => *route,
    };
    // The memory is leaked once per run of the demo.
    let routes: &'static [Route] = SITE.table.routes().iter().map(with_port).collect::<Vec<_>>().leak();
    let slots = Box::leak(Box::new(Table::slots::<SLOTS>(routes)));
    // No load balancer has to notice the end of the demo.
    let shutdown = Shutdown { delay: Duration::ZERO, ..SITE.shutdown };
    Box::leak(Box::new(Site { table: Table::new(routes, slots), shutdown, ..SITE }))
}

fn local(target: Target, port: u16) -> Target {
    Target { tls: false, host: "127.0.0.1", port, authority: format!("127.0.0.1:{port}").leak(), ..target }
}
