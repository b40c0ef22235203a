//! Settings from environment variables: secrets, the store, and values that the compiled site leaves unset.
//!
//! All problems are reported at once. A message never contains the value of a variable.

mod authorities;
mod ca_files;
pub mod data_dir;
mod egress_proxy;
mod environment;
pub mod key_file;
mod pem;
mod redis;
mod upstream_headers;
mod urls;

pub use authorities::Authorities;
pub use egress_proxy::{EgressProxy, ProxyCredentials};
pub use environment::{Environment, LogFormat};
pub use redis::{RedisAddress, RedisAddressError, RedisKind, RedisTls, SentinelLogin};
pub use urls::{BaseUrl, UrlError};

use crate::base::secret::{Secret, SecretBytes};
use environment::Raw;
use gateway_routes::{AuthorizationServer, Site};
use rustls::RootCertStore;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;
use url::Url;

/// Validated settings of a gateway process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Origin and issuer of the gateway.
    pub base_url: BaseUrl,
    /// TCP port to listen on; 0 lets the system choose one.
    pub port: u16,
    /// Okta application.
    pub okta: OktaSettings,
    /// Store backend.
    pub store: StoreSettings,
    /// `GATEWAY_SECRET`: the first secret seals, all of them unseal. `None` only with the embedded store, which
    /// generates its own.
    pub secrets: Option<Vec<SecretBytes>>,
    /// `STORE_FORMAT`: format version of new records.
    pub store_format: Option<u8>,
    /// Log format.
    pub log_format: LogFormat,
    /// Proxy of outgoing requests.
    pub egress_proxy: Option<EgressProxy>,
    /// Certificate authorities of Okta and of the hosts of client documents.
    pub authorities: Authorities,
    /// Certificate authorities of routes with a `ca_file`, by file name.
    pub upstream_authorities: BTreeMap<&'static str, RootCertStore>,
    /// Serialized `upstream_headers` of the routes that have some, by pattern.
    pub upstream_headers: BTreeMap<&'static str, Secret>,
}

/// Okta application and authorization server.
#[derive(Debug, Clone)]
pub struct OktaSettings {
    /// URL of the Okta org, or of an issuer when it has a path.
    pub url: Url,
    /// Authorization server of the org.
    pub authorization_server: AuthorizationServer,
    /// Client ID of the application.
    pub client_id: String,
    /// Client secret of the application.
    pub client_secret: Secret,
    /// Redirect URI registered at Okta.
    pub redirect_uri: Url,
}

/// Store backend.
#[derive(Debug, Clone)]
pub enum StoreSettings {
    /// Embedded database file.
    Embedded {
        /// `DATA_DIR`: directory of the file.
        data_dir: PathBuf,
    },
    /// Redis or Valkey.
    Redis(RedisAddress),
}

/// Problems of the environment, one line each.
#[derive(Debug, PartialEq, Eq, Error)]
pub struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the gateway cannot start:")?;
        self.0.iter().try_for_each(|problem| writeln!(f, "  - {problem}"))
    }
}

impl Settings {
    /// Reads and validates the environment for a compiled site.
    ///
    /// # Errors
    /// All problems at once: missing and malformed values, and values that contradict the site.
    pub fn read(environment: &Environment, site: &'static Site) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let raw = Raw::read(environment, &mut problems);
        let settings = Reader { environment, site, raw: &raw, problems: &mut problems }.settings();
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => Err(Problems(problems)),
        }
    }
}

struct Reader<'a> {
    environment: &'a Environment,
    site: &'static Site,
    raw: &'a Raw,
    problems: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn settings(&mut self) -> Option<Settings> {
        let base_url = self.base_url();
        let port = self.port();
        let okta = self.okta(base_url.as_ref());
        let store = self.store();
        let secrets = self.secrets();
        let store_format = self.store_format();
        let log_format = self.log_format();
        let egress_proxy = egress_proxy::read(self.site, self.raw, self.environment, self.problems);
        let authorities = authorities::read(self.site, self.problems);
        let upstream_authorities = ca_files::read(self.site, self.problems);
        let upstream_headers = upstream_headers::read(self.environment, self.site, self.problems);
        Some(Settings {
            base_url: base_url?,
            port: port?,
            okta: okta?,
            store: store?,
            secrets: secrets?,
            store_format: store_format?,
            log_format: log_format?,
            egress_proxy,
            authorities,
            upstream_authorities,
            upstream_headers,
        })
    }

    /// Value that the site fixes, else the value of the environment; a contradiction is a problem.
    fn pinned(&mut self, name: &str, pinned: Option<&str>, given: Option<&String>) -> Option<String> {
        match (pinned, given) {
            (Some(pinned), Some(given)) if pinned.trim_end_matches('/') != given.trim_end_matches('/') => {
                self.problems.push(format!(
                    "{name} contradicts this binary, which was built for {pinned} (environment {}): unset {name}, \
                     or run the binary of the other environment",
                    self.site.environment
                ));
                None
            }
            (Some(pinned), _) => Some(pinned.to_owned()),
            (None, given) => given.cloned(),
        }
    }

    fn base_url(&mut self) -> Option<BaseUrl> {
        let problems = self.problems.len();
        let given = self.pinned("BASE_URL", self.site.base_url, self.raw.base_url.as_ref());
        if self.problems.len() > problems {
            return None;
        }
        let given = given.unwrap_or_else(|| "http://localhost:8080".into());
        BaseUrl::parse(&given).map_err(|why| self.problems.push(format!("BASE_URL {why}"))).ok()
    }

    fn port(&mut self) -> Option<u16> {
        let pinned = self.site.port.map(|port| port.to_string());
        let problems = self.problems.len();
        let given = self.pinned("PORT", pinned.as_deref(), self.raw.port.as_ref());
        if self.problems.len() > problems {
            return None;
        }
        let parsed = given.as_deref().unwrap_or("8080").parse();
        parsed.map_err(|_| self.problems.push("PORT is not a number from 0 to 65535".into())).ok()
    }

    fn okta(&mut self, base_url: Option<&BaseUrl>) -> Option<OktaSettings> {
        let pins = &self.site.okta;
        let url = self.pinned("OKTA_URL", pins.url, self.raw.okta_url.as_ref());
        let url = self.required("OKTA_URL", url, "the URL of your Okta org, such as https://acme.okta.com");
        let url = url.and_then(|url| self.parsed("OKTA_URL", urls::okta(&url)));
        let client_id = self.pinned("OKTA_CLIENT_ID", pins.client_id, self.raw.okta_client_id.as_ref());
        let client_id = self.required("OKTA_CLIENT_ID", client_id, "the client ID of the Okta app");
        let secret = self.raw.okta_client_secret.as_ref().map(|secret| secret.expose().to_owned());
        let secret = self.required("OKTA_CLIENT_SECRET", secret, "the client secret of the Okta app");
        let redirect =
            self.pinned("OKTA_REDIRECT_URI", pins.redirect_uri, self.raw.okta_redirect_uri.as_ref());
        let redirect = redirect.or_else(|| base_url.map(|base| format!("{}/auth/callback", base.as_str())));
        let redirect = redirect.and_then(|redirect| self.parsed("OKTA_REDIRECT_URI", urls::parse(&redirect)));
        Some(OktaSettings {
            url: url?,
            authorization_server: pins.authorization_server,
            client_id: client_id?,
            client_secret: Secret::new(secret?),
            redirect_uri: redirect?,
        })
    }

    fn required(&mut self, name: &str, value: Option<String>, what: &str) -> Option<String> {
        let contradicted = |problem: &String| problem.starts_with(&format!("{name} "));
        if value.is_none() && !self.problems.iter().any(contradicted) {
            self.problems.push(format!("{name} is not set: give {what}"));
        }
        value
    }

    fn parsed(&mut self, name: &str, url: Result<Url, UrlError>) -> Option<Url> {
        url.map_err(|why| self.problems.push(format!("{name} {why}"))).ok()
    }

    fn store(&mut self) -> Option<StoreSettings> {
        let files = redis::Files {
            authorities: self.raw.kvs_ca_file.as_deref(),
            certificate: self.raw.kvs_cert_file.as_deref(),
            key: self.raw.kvs_key_file.as_deref(),
        };
        let sentinel = redis::SentinelVariables {
            user: self.raw.kvs_sentinel_user.as_deref(),
            password: self.raw.kvs_sentinel_password.as_ref(),
        };
        let Some(address) = &self.raw.kvs_addr else {
            files.report_unused(self.problems);
            sentinel.report_unused(self.problems);
            let data_dir = self.raw.data_dir.as_deref().unwrap_or("./data").into();
            return Some(StoreSettings::Embedded { data_dir });
        };
        let address = RedisAddress::parse(address, self.raw.kvs_password.clone());
        let address = address.map_err(|why| self.problems.push(format!("KVS_ADDR {why}")));
        let mut address = address.ok()?;
        address.sentinel_login = sentinel.read(&address.kind, self.problems);
        match address {
            address @ RedisAddress { tls: None, .. } => {
                files.report_unused(self.problems);
                Some(StoreSettings::Redis(address))
            }
            address => {
                let tls = Some(files.read(self.problems)?);
                Some(StoreSettings::Redis(RedisAddress { tls, ..address }))
            }
        }
    }

    #[expect(clippy::option_option, reason = "outer: a problem was found; inner: none is set")]
    fn secrets(&mut self) -> Option<Option<Vec<SecretBytes>>> {
        let Some(given) = &self.raw.gateway_secret else {
            if self.raw.kvs_addr.is_none() {
                return Some(None);
            }
            self.problems.push(
                "GATEWAY_SECRET is not set, and replicas on Redis must share one: make it with \
                 `openssl rand -hex 32` and give the same to all"
                    .into(),
            );
            return None;
        };
        match environment::gateway_secrets(given) {
            Ok(secrets) => Some(Some(secrets)),
            Err(why) => {
                self.problems.push(format!("GATEWAY_SECRET {why}"));
                None
            }
        }
    }

    #[expect(clippy::option_option, reason = "outer: a problem was found; inner: none is set")]
    fn store_format(&mut self) -> Option<Option<u8>> {
        let parsed = self.raw.store_format.as_ref().map(|given| given.parse()).transpose();
        parsed.map_err(|_| self.problems.push("STORE_FORMAT is not the number of a format".into())).ok()
    }

    fn log_format(&mut self) -> Option<LogFormat> {
        match self.raw.log_format.as_deref() {
            None | Some("json") => Some(LogFormat::Json),
            Some("pretty") => Some(LogFormat::Pretty),
            Some(_) => {
                self.problems.push("LOG_FORMAT must be json or pretty".into());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
