//! TLS to Redis, with a private authority and a client certificate.

use super::access::{create_user, documented_rights};
use super::fixture::{StoreFixture, use_every_operation};
use super::outage::CALL_TIMEOUT;
use crate::harness::SiteBuilder;
use gateway::settings::{Environment, RedisAddress, Settings, StoreSettings};
use gateway_standins::redis::{Certificates, Cluster, Redis, Sentinels};
use std::time::Instant;

const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Redis address from these environment variables.
fn address(kvs: &str, ca: &str, certificate: &str, key: &str) -> RedisAddress {
    let environment = Environment::of([
        ("KVS_ADDR", kvs),
        ("KVS_CA_FILE", ca),
        ("KVS_CERT_FILE", certificate),
        ("KVS_KEY_FILE", key),
        ("GATEWAY_SECRET", SECRET),
        ("OKTA_URL", "https://acme.okta.com"),
        ("OKTA_CLIENT_ID", "0oa1"),
        ("OKTA_CLIENT_SECRET", "secret"),
    ]);
    let site = SiteBuilder::new().route("/mcp/raw/", "http://localhost:1", |route| route).leak();
    match Settings::read(&environment, site).unwrap().store {
        StoreSettings::Redis(address) => address,
        StoreSettings::Embedded { .. } => panic!("KVS_ADDR is set"),
    }
}

/// Address with the CA file and the client certificate of this authority.
fn with_client_certificate(kvs: &str, certificates: &Certificates) -> RedisAddress {
    let ours = (certificates.path("client.pem"), certificates.path("client.key"));
    address(kvs, &certificates.path("ca.pem"), &ours.0, &ours.1)
}

#[tokio::test]
async fn redis_over_tls_verifies_authority_name_and_client_certificate() {
    let (certificates, foreign) = (Certificates::make().unwrap(), Certificates::make().unwrap());
    let redis = Redis::start_with_tls(&certificates).unwrap();
    let kvs = format!("rediss://{}", redis.tls_address());
    use_every_operation(&StoreFixture::of(with_client_certificate(&kvs, &certificates))).await.unwrap();
    let ca = certificates.path("ca.pem");
    let of_another = (foreign.path("client.pem"), foreign.path("client.key"));
    for (what, address) in [
        ("another authority", with_client_certificate(&kvs, &foreign)),
        ("public authorities", address(&kvs, "", "", "")),
        ("another name", with_client_certificate(&kvs.replace("127.0.0.1", "localhost"), &certificates)),
        ("no client certificate", address(&kvs, &ca, "", "")),
        ("a client certificate of another authority", address(&kvs, &ca, &of_another.0, &of_another.1)),
        ("no TLS", RedisAddress::parse(&redis.tls_address(), None).unwrap()),
    ] {
        let (fixture, started) = (StoreFixture::of(address), Instant::now());
        assert!(fixture.store.ping().await.is_err(), "{what}");
        assert!(started.elapsed() < CALL_TIMEOUT, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_work_over_tls_with_a_restricted_user() {
    let certificates = Certificates::make().unwrap();
    let servers = Sentinels::start_with_tls(&certificates).unwrap();
    let [needed, beside, _] = documented_rights();
    create_user(&servers.primary, &[needed, beside].concat());
    let kvs = format!("rediss-sentinel://mcp:secret@{}", servers.hosts());
    use_every_operation(&StoreFixture::of(with_client_certificate(&kvs, &certificates))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_works_over_tls_with_a_restricted_user() {
    let certificates = Certificates::make().unwrap();
    let cluster = Cluster::start_with_tls(&certificates).unwrap();
    let [needed, _, beside] = documented_rights();
    for node in &cluster.nodes {
        create_user(node, &[&needed[..], &beside].concat());
    }
    let kvs = format!("rediss-cluster://mcp:secret@{}", cluster.hosts());
    let fixture = StoreFixture::of(with_client_certificate(&kvs, &certificates));
    use_every_operation(&fixture).await.unwrap();
}
