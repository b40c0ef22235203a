//! Machines without certificate authorities, and a private one for Okta.

use crate::harness::OktaFront;
use crate::harness::binary::{Process, binary, built_for, target_dir};
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Client, Login};
use gateway_standins::okta::{Okta, OktaOptions};
use std::fs;

const CALLBACK: &str = "http://localhost:43110/callback";
/// Environment of a machine without certificates.
const NO_CERTIFICATES: [(&str, &str); 2] =
    [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
const WARNING: &str = "this machine has no certificate authorities";

async fn client(process: &Process) -> Client {
    let discovered = client::discover(&format!("{}/mcp/dice/mcp", process.base_url)).await.unwrap();
    discovered.register("Test client", "none", CALLBACK).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_certificate_authorities_serves_and_warns_once() {
    let okta = Okta::start(OktaOptions::default()).await.unwrap();
    let process = Process::with_okta(binary(), &okta, &NO_CERTIFICATES).await;
    let client = client(&process).await;
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    client.redeem(&code).await.unwrap();
    let log = process.log();
    assert_eq!(log.matches(WARNING).count(), 1, "{log}");
    assert!(log.contains("/nonexistent"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_file_of_okta_is_trusted_on_a_machine_without_certificate_authorities() {
    // The path is compiled in, so that it is the same in each run.
    let folder = target_dir().join("sites/private-okta");
    fs::create_dir_all(&folder).unwrap();
    let (config, ca_file) = (folder.join("config.yaml"), folder.join("ca.pem"));
    let site = format!(
        "okta: {{ authorization_server: org, ca_file: {} }}\n\
         proxies: [{{ pattern: /mcp/dice/, target_url: \"http://localhost:3000\" }}]\n",
        ca_file.display()
    );
    if fs::read_to_string(&config).ok().as_ref() != Some(&site) {
        fs::write(&config, site).unwrap();
    }
    let mut front = OktaFront::bind("127.0.0.1").await;
    fs::copy(front.ca_file(), &ca_file).unwrap();
    let okta = Okta::start(front.options()).await.unwrap();
    front.serve(&okta);
    let process = Process::with_okta(&built_for(&config, "private-okta"), &okta, &NO_CERTIFICATES).await;
    let client = client(&process).await;
    let code = client.authorize(&mut front.browser(), &Login::of("alice")).await.unwrap();
    client.redeem(&code).await.unwrap();
    let log = process.log();
    assert_eq!(log.matches("\"WARN\"").count(), 1, "{log}");
    // Without the file, the public authorities do not vouch for this Okta.
    let process = Process::with_okta(binary(), &okta, &[]).await;
    let error = self::client(&process).await;
    let error = error.authorize(&mut front.browser(), &Login::of("alice")).await.unwrap_err();
    assert!(error.to_string().contains("temporarily_unavailable"), "{error}");
    assert!(process.log().contains("invalid peer certificate: UnknownIssuer"), "{}", process.log());
}
