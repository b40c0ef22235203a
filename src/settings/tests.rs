use super::*;
use gateway_routes::{OktaSite, Route, Table, Target, Tokens};
use gateway_standins::redis::Certificates;
use std::time::Duration;

pub(super) const SITE: Site = Site {
    environment: "production",
    base_url: None,
    port: None,
    okta: OktaSite {
        url: None,
        authorization_server: AuthorizationServer::Org,
        client_id: None,
        redirect_uri: None,
        groups_claim: "groups",
        trust_email: false,
        ca_file: None,
    },
    tokens: Tokens {
        access_ttl: Duration::from_mins(10),
        refresh_ttl: Duration::from_hours(24),
        code_ttl: Duration::from_mins(1),
    },
    allowed_origins: &[],
    redirect_schemes: &[],
    trusted_redirect_hosts: &[],
    client_metadata: gateway_routes::ClientMetadata::DEFAULT,
    advertise_iss: true,
    refresh_reuse: gateway_routes::RefreshReuse::Revoke,
    okta_grace: Duration::from_hours(1),
    okta_recheck: Duration::from_mins(10),
    registration: gateway_routes::Registration::DEFAULT,
    trusted_proxies: &[],
    egress_proxy: gateway_routes::EgressProxySite::DEFAULT,
    limits: gateway_routes::Limits::DEFAULT,
    shutdown: gateway_routes::Shutdown::DEFAULT,
    table: Table::new(&[], &[u16::MAX]),
    digest: "",
};
static OPEN: Site = SITE;
static PINNED: Site = Site { base_url: Some("https://mcp.example.com"), port: Some(8443), ..SITE };
pub(super) const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const OKTA: [(&str, &str); 3] =
    [("OKTA_URL", "https://acme.okta.com"), ("OKTA_CLIENT_ID", "0oa1"), ("OKTA_CLIENT_SECRET", "hunter2")];

pub(super) fn read(site: &'static Site, more: &[(&str, &str)]) -> Result<Settings, String> {
    let all = OKTA.iter().chain(more).copied();
    Settings::read(&Environment::of(all), site).map_err(|problems| problems.to_string())
}

#[test]
fn the_environment_of_the_go_program_is_accepted() {
    let settings = read(
        &OPEN,
        &[
            ("PORT", "8080"),
            ("BASE_URL", "http://localhost:8080"),
            ("OKTA_REDIRECT_URI", "http://localhost:8080/auth/callback"),
        ],
    )
    .unwrap();
    assert_eq!((settings.base_url.as_str(), settings.port), ("http://localhost:8080", 8080));
    assert_eq!(settings.okta.redirect_uri.as_str(), "http://localhost:8080/auth/callback");
}

#[test]
fn the_variable_names_of_the_go_program_are_accepted() {
    let environment = Environment::of([
        ("OAUTH_OKTA_URL", "https://acme.okta.com"),
        ("OAUTH_OKTA_CLIENT_ID", "0oa1"),
        ("OAUTH_OKTA_CLIENT_SECRET", "hunter2"),
    ]);
    assert_eq!(Settings::read(&environment, &OPEN).unwrap().okta.client_id, "0oa1");
}

#[test]
fn all_problems_are_reported_at_once_without_values() {
    let environment = Environment::of([
        ("PORT", "http"),
        ("BASE_URL", "http://mcp.example.com"),
        ("KVS_ADDR", "localhost:6379"),
        ("GATEWAY_SECRET", "hunter2"),
        ("LOG_FORMAT", "xml"),
        ("OKTA_CLIENT_PRIVATE_KEY", "hunter2"),
    ]);
    let problems = Settings::read(&environment, &OPEN).unwrap_err().to_string();
    for name in [
        "PORT",
        "BASE_URL",
        "OKTA_URL",
        "OKTA_CLIENT_ID",
        "OKTA_CLIENT_SECRET",
        "GATEWAY_SECRET",
        "LOG_FORMAT",
        "OKTA_CLIENT_PRIVATE_KEY",
    ] {
        assert!(problems.contains(&format!("- {name} ")), "{name} is missing in\n{problems}");
    }
    assert!(!problems.contains("hunter2"), "{problems}");
}

#[test]
fn a_variable_that_contradicts_the_site_is_an_error() {
    let problems = read(&PINNED, &[("BASE_URL", "https://other.example.com"), ("PORT", "80")]).unwrap_err();
    assert!(
        problems.contains("BASE_URL contradicts this binary, which was built for https://mcp.example.com")
    );
    assert!(problems.contains("PORT contradicts this binary"), "{problems}");
    assert!(read(&PINNED, &[("BASE_URL", "https://mcp.example.com/")]).is_ok());
}

#[test]
fn replicas_on_redis_need_a_shared_secret() {
    let problems = read(&OPEN, &[("KVS_ADDR", "localhost:6379")]).unwrap_err();
    assert!(problems.contains("openssl rand -hex 32"), "{problems}");
    assert!(read(&OPEN, &[("KVS_ADDR", "localhost:6379"), ("GATEWAY_SECRET", SECRET)]).is_ok());
    assert!(read(&OPEN, &[]).unwrap().secrets.is_none());
}

#[test]
fn a_weak_gateway_secret_is_rejected() {
    for weak in ["secret", "0011", &"00".repeat(32), "not/base64+url=padding/not/base64+url=padding/"] {
        assert!(read(&OPEN, &[("GATEWAY_SECRET", weak)]).is_err(), "{weak}");
    }
}

#[test]
fn a_secret_may_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let settings = read(&OPEN, &[("GATEWAY_SECRET_FILE", path.to_str().unwrap())]).unwrap();
    assert_eq!(settings.secrets.unwrap().len(), 1);
    let both = [("GATEWAY_SECRET_FILE", path.to_str().unwrap()), ("GATEWAY_SECRET", SECRET)];
    assert!(read(&OPEN, &both).is_err());
    assert!(read(&OPEN, &[("GATEWAY_SECRET_FILE", "/nowhere")]).is_err());
}

#[test]
fn a_repeated_secret_is_rejected_in_any_notation() {
    let other = "55".repeat(16) + &"aa".repeat(16);
    for (secrets, fine) in [
        (format!("{SECRET},{other}"), true),
        (format!("{SECRET},{SECRET}"), false),
        (format!("{other},{}", other.to_uppercase()), false),
    ] {
        assert_eq!(read(&OPEN, &[("GATEWAY_SECRET", &secrets)]).is_ok(), fine);
    }
}

#[test]
fn an_invalid_address_of_redis_is_reported_with_all_other_problems() {
    let problems = read(&OPEN, &[("KVS_ADDR", "http://:hunter2@kv"), ("PORT", "many")]).unwrap_err();
    for expected in ["KVS_ADDR must be", "PORT is not", "GATEWAY_SECRET is not set"] {
        assert!(problems.contains(expected), "{expected} is missing in {problems}");
    }
    assert!(!problems.contains("hunter2"), "{problems}");
}

#[test]
fn the_readme_has_a_row_for_every_variable_and_no_other() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let table = readme.split("### Settings").nth(1).unwrap().split("###").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut known = environment::NAMES.to_vec();
    known.push("RUST_LOG");
    let mut rows: Vec<&str> = rows.collect();
    rows.sort_unstable();
    known.sort_unstable();
    assert_eq!(rows, known);
}

#[test]
fn the_store_format_is_a_number() {
    assert_eq!(read(&OPEN, &[("STORE_FORMAT", "2")]).unwrap().store_format, Some(2));
    assert_eq!(read(&OPEN, &[]).unwrap().store_format, None);
    assert!(read(&OPEN, &[("STORE_FORMAT", "newest")]).unwrap_err().contains("STORE_FORMAT is not"));
}

/// Reads settings with these TLS files and a `KVS_ADDR` of this scheme.
fn read_with_tls_files(scheme: &str, files: &[(&str, &str)]) -> Result<Settings, String> {
    let address = format!("{scheme}://kv.example.com");
    read(&OPEN, &[&[("KVS_ADDR", &*address), ("GATEWAY_SECRET", SECRET)], files].concat())
}

#[test]
fn tls_files_are_read_and_validated_at_startup() {
    let (ours, others) = (Certificates::make().unwrap(), Certificates::make().unwrap());
    let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(|name| ours.path(name));
    let (ca, certificate, key) =
        (("KVS_CA_FILE", &*ca), ("KVS_CERT_FILE", &*certificate), ("KVS_KEY_FILE", &*key));
    for scheme in ["rediss", "rediss-cluster"] {
        assert!(read_with_tls_files(scheme, &[]).is_ok());
        assert!(read_with_tls_files(scheme, &[ca]).is_ok());
        assert!(read_with_tls_files(scheme, &[ca, certificate, key]).is_ok());
    }
    let foreign_key = others.path("client.key");
    for (files, expected) in [
        (
            &[("KVS_CA_FILE", "/nowhere")][..],
            "KVS_CA_FILE: the file it names cannot be read: check its path and its mode: caused by No such file",
        ),
        (&[("KVS_CA_FILE", key.1)], "KVS_CA_FILE: the file it names holds no certificate in PEM"),
        (&[certificate], "KVS_CERT_FILE is set without KVS_KEY_FILE"),
        (&[key], "KVS_KEY_FILE is set without KVS_CERT_FILE"),
        (&[certificate, ("KVS_KEY_FILE", ca.1)], "KVS_KEY_FILE: the file it names holds no private key"),
        (&[certificate, ("KVS_KEY_FILE", &foreign_key)], "the key is not that of the certificate"),
    ] {
        let problems = read_with_tls_files("rediss", files).unwrap_err();
        assert!(problems.contains(expected), "{expected} is missing in {problems}");
        assert_eq!(problems.matches("  - ").count(), 1, "{problems}");
    }
}

/// Site with one route to an https target for each CA file.
fn site_with(ca_files: &[&str]) -> &'static Site {
    let route = |(number, file): (usize, &&str)| Route {
        pattern: format!("/mcp/n{number}/").leak(),
        target: Target {
            tls: true,
            host: "mcp.internal",
            port: 443,
            authority: "mcp.internal",
            path: "",
            trailing_slash: false,
        },
        ca_file: Some(file.to_string().leak()),
        name: "n",
        description: "",
        scopes: &["mcp:n"],
        groups: &[],
        identity: gateway_routes::Identity::None,
        upstream_headers: &[],
        max_body: 0,
        connect_timeout: Duration::ZERO,
        response_timeout: Duration::ZERO,
        response_idle_timeout: Duration::ZERO,
    };
    let routes: &'static [Route] = ca_files.iter().enumerate().map(route).collect::<Vec<_>>().leak();
    assert!(routes.len() <= 3, "add a size here");
    let slots = match routes.len() {
        1 => Table::slots::<{ Table::size(1) }>(routes).to_vec(),
        2 => Table::slots::<{ Table::size(2) }>(routes).to_vec(),
        _ => Table::slots::<{ Table::size(3) }>(routes).to_vec(),
    };
    Box::leak(Box::new(Site { table: Table::new(routes, slots.leak()), ..SITE }))
}

#[test]
fn a_bad_ca_file_is_reported_with_its_routes_and_all_other_problems() {
    let (certificates, folder) = (Certificates::make().unwrap(), tempfile::tempdir().unwrap());
    let ca = certificates.path("ca.pem");
    let settings = read(site_with(&[&ca, &ca]), &[]).unwrap();
    assert_eq!(settings.upstream_authorities.keys().collect::<Vec<_>>(), [&ca]);
    assert_eq!(settings.upstream_authorities[&*ca].len(), 1);
    let pem = std::fs::read_to_string(&ca).unwrap();
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, expected) in [
        (None, "cannot be read: check its path and its mode: caused by No such file"),
        (Some(&b""[..]), "holds no certificate in PEM"),
        (Some(b"no PEM"), "holds no certificate in PEM"),
        (Some(&[0xff; 80]), "cannot be read as text"),
        (Some(std::fs::read(certificates.path("ca.key")).unwrap().as_slice()), "holds no certificate in PEM"),
        (Some(&pem.as_bytes()[..pem.len() / 2]), "holds no certificate in PEM"),
        (Some((pem.clone() + &pem[..pem.len() / 2]).as_bytes()), "holds no certificate in PEM"),
        (Some(garbage.as_bytes()), "holds something else than X.509 certificates"),
        (Some((pem.clone() + garbage).as_bytes()), "holds something else than X.509 certificates"),
        (Some(pem.repeat(2000).as_bytes()), "is longer than 1 MiB"),
    ] {
        let file = folder.path().join("bad.pem");
        let _ = std::fs::remove_file(&file);
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let file = file.to_str().unwrap();
        let problems =
            read(site_with(&[file, &ca, file]), &[("PORT", "none"), ("BASE_URL", "x")]).unwrap_err();
        let problem = format!("  - routes /mcp/n0/, /mcp/n2/: the ca_file {file} {expected}");
        assert!(problems.contains(&problem), "{problem} is missing in {problems}");
        assert_eq!(problems.matches("  - ").count(), 3, "{problems}");
        let problems = read(site_with(&[file]), &[]).unwrap_err();
        assert!(
            problems.contains(&format!("  - route /mcp/n0/: the ca_file {file} {expected}")),
            "{problems}"
        );
    }
}

#[test]
fn tls_files_without_tls_are_reported_together() {
    let files = [("KVS_CA_FILE", "/a"), ("KVS_CERT_FILE", "/b"), ("KVS_KEY_FILE", "/c")];
    for problems in [read_with_tls_files("redis", &files).unwrap_err(), read(&OPEN, &files).unwrap_err()] {
        for (name, _) in files {
            assert!(
                problems.contains(&format!("{name} is set, and KVS_ADDR does not ask for TLS")),
                "{problems}"
            );
        }
    }
}
