//! Where everything listens: the usual ports, and others where those are taken.

use crate::say;
use crate::site::SITE;
use gateway_routes::{Route, Site, Table, Target};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

/// The port itself when it is free on this machine, else 0, with which the system chooses one.
pub(crate) fn free_or_any(port: u16, whose: &str) -> u16 {
    if is_free(port) {
        return port;
    }
    say(&format!("Port {port} is taken: {whose} gets another one."));
    0
}

/// A port that nobody listens on now.
pub(crate) fn any() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn is_free(port: u16) -> bool {
    let listens = |address: std::net::IpAddr| TcpListener::bind((address, port));
    // A machine without IPv6 fails there for another reason than that the port is taken.
    let taken = |error: std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    listens(Ipv4Addr::UNSPECIFIED.into()).is_ok()
        && !listens(Ipv6Addr::UNSPECIFIED.into()).is_err_and(taken)
        && listens(Ipv4Addr::LOCALHOST.into()).is_ok()
}

/// The compiled site, with the routes of these patterns leading to other ports of this machine.
pub(crate) fn site_with(ports: &[(&str, u16)]) -> &'static Site {
    const SLOTS: usize = Table::size(SITE.table.routes().len());
    let moved = |route: &Route| match ports.iter().find(|(pattern, _)| *pattern == route.pattern) {
        Some((_, port)) => Route { target: local(route.target, *port), ..*route },
        None => *route,
    };
    // The demo ends before it matters that this memory is never given back.
    let routes: &'static [Route] = SITE.table.routes().iter().map(moved).collect::<Vec<_>>().leak();
    let slots = Box::leak(Box::new(Table::slots::<SLOTS>(routes)));
    Box::leak(Box::new(Site { table: Table::new(routes, slots), ..SITE }))
}

fn local(target: Target, port: u16) -> Target {
    Target { tls: false, host: "127.0.0.1", port, authority: format!("127.0.0.1:{port}").leak(), ..target }
}
