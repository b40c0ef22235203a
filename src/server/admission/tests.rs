use super::*;

const PROXIES: &[Network] = &[Network::v4([10, 0, 0, 0], 8)];

fn admission(connections: usize, per_address: usize) -> Arc<Admission> {
    let capacity = Capacity { connections, per_address };
    Arc::new(Admission::new(capacity, PROXIES, Clock::system()))
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

#[test]
fn connections_per_address_are_limited_and_released() {
    let admission = admission(3, 2);
    let connect = |address| admission.connection(ip(address));
    let (first, second) = (connect("192.0.2.1"), connect("::ffff:192.0.2.1"));
    assert_eq!((first.0, second.0), (Peer::Client, Peer::Client));
    assert_eq!(connect("192.0.2.1").0, Peer::Refused(Refusal::Address));
    let other = connect("192.0.2.2");
    assert_eq!(other.0, Peer::Client);
    assert_eq!(connect("192.0.2.3").0, Peer::Refused(Refusal::Full));
    drop(first);
    assert_eq!(connect("192.0.2.1").0, Peer::Client);
}

#[test]
fn an_ipv6_64_network_counts_as_one_address() {
    let admission = admission(9, 1);
    let _first = admission.connection(ip("2001:db8:1:2::1"));
    assert_eq!(admission.connection(ip("2001:db8:1:2:ffff::9")).0, Peer::Refused(Refusal::Address));
    assert_eq!(admission.connection(ip("2001:db8:1:3::1")).0, Peer::Client);
}

#[test]
fn larger_ipv6_networks_have_a_multiple_of_the_limit() {
    let admission = admission(99, 1);
    let connect = |network: u32| {
        let [high, low] = [network >> 16, network & 0xffff];
        admission.connection(ip(&format!("2001:db8:{high:x}:{low:x}::1")))
    };
    let of_56: Vec<_> = (0..9).map(connect).collect();
    assert_eq!(of_56.iter().filter(|(peer, _)| *peer == Peer::Client).count(), 4);
    let of_48: Vec<_> = (1..99).map(|subnet| connect(subnet << 8)).collect();
    assert_eq!(of_48.iter().filter(|(peer, _)| *peer == Peer::Client).count(), 12);
    assert_eq!(connect(1 << 16).0, Peer::Client, "another site");
}

#[test]
fn only_a_further_concurrent_request_takes_a_permit() {
    let admission = admission(9, 2);
    let client = ip("192.0.2.1");
    let (peer, _connection) = admission.connection(client);
    assert!(admission.request(peer, client, true).unwrap().is_none());
    let further = admission.request(peer, client, false).unwrap();
    assert!(further.is_some());
    assert_eq!(admission.request(peer, client, false).err(), Some(Refusal::Address));
    drop(further);
    assert!(admission.request(peer, client, false).is_ok());
}

#[test]
fn behind_a_trusted_proxy_requests_count_for_the_client_and_connections_do_not() {
    let admission = admission(9, 2);
    let (proxy, client) = (ip("10.0.0.1"), ip("192.0.2.1"));
    let connections: Vec<_> = (0..4).map(|_| admission.connection(proxy)).collect();
    assert!(connections.iter().all(|(peer, _)| *peer == Peer::TrustedProxy));
    let requests: Vec<_> = (0..2).map(|_| admission.request(Peer::TrustedProxy, client, true)).collect();
    assert!(requests.iter().all(Result::is_ok));
    assert_eq!(admission.request(Peer::TrustedProxy, client, true).err(), Some(Refusal::Address));
    assert!(admission.request(Peer::TrustedProxy, ip("192.0.2.2"), true).is_ok());
    assert!(admission.request(Peer::TrustedProxy, proxy, true).unwrap().is_none(), "its own probes");
    drop(requests);
    assert!(admission.request(Peer::TrustedProxy, client, true).is_ok());
}

#[test]
fn released_permits_leave_no_counters_behind() {
    let admission = admission(9, 9);
    for number in 0..9 {
        drop(admission.connection(IpAddr::from([192, 0, 2, number])));
    }
    let counts = admission.counts.lock();
    assert_eq!((counts.all, counts.of_subnet.len()), (0, 0));
}
