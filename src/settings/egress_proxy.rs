//! `egress_proxy` and `HTTPS_PROXY`: proxy of requests to Okta and to the hosts of client documents.

mod direct_hosts;

use super::environment::{Environment, Raw};
use crate::base::secret::Secret;
use direct_hosts::DirectHosts;
use gateway_routes::{Site, ValuePart};
use percent_encoding::percent_decode_str;
use url::Url;

/// Proxy of outgoing https requests.
#[derive(Debug, Clone)]
pub struct EgressProxy {
    url: Url,
    credentials: Option<ProxyCredentials>,
    /// Settings of the credentials, for messages.
    credentials_source: String,
    direct: DirectHosts,
    /// Client documents are fetched through it, too.
    pub client_metadata: bool,
}

/// User and password at a proxy.
#[derive(Debug, Clone)]
pub struct ProxyCredentials {
    /// User.
    pub username: Secret,
    /// Password of the user.
    pub password: Secret,
}

/// Reads the proxy; `None` without one, or if a problem was reported.
pub(super) fn read(
    site: &Site,
    raw: &Raw,
    environment: &Environment,
    problems: &mut Vec<String>,
) -> Option<EgressProxy> {
    let site = &site.egress_proxy;
    if !site.enabled {
        return None;
    }
    let (mut url, name) = match (site.url, &raw.https_proxy) {
        (Some(url), _) => (parse(url), "egress_proxy.url"),
        (None, Some(url)) => (parse(url.expose()), "HTTPS_PROXY"),
        (None, None) => return None,
    };
    let in_url = url.as_mut().ok().and_then(take_credentials);
    let url = url.map_err(|why| problems.push(format!("{name} {why}"))).ok();
    let in_site = site.username.zip(site.password);
    if in_url.is_some() && in_site.is_some() {
        problems.push(
            "HTTPS_PROXY holds a user, and egress_proxy.username names one too: remove it from HTTPS_PROXY"
                .into(),
        );
    }
    let credentials_source = match in_site {
        Some((_, password)) => format!("egress_proxy.username and {password}"),
        None if name == "HTTPS_PROXY" => "the user and the password in HTTPS_PROXY".to_owned(),
        None => "egress_proxy.username and egress_proxy.password".to_owned(),
    };
    let in_site = in_site.and_then(|(user, password)| credentials(user, password, environment, problems));
    let direct = match (site.no_proxy, raw.no_proxy.as_deref()) {
        (Some(hosts), _) => DirectHosts::parse(hosts.iter().copied()),
        (None, hosts) => DirectHosts::parse(hosts.unwrap_or_default().split([',', ' '])),
    };
    let client_metadata = site.client_metadata;
    Some(EgressProxy {
        url: url?,
        credentials: in_url.or(in_site),
        credentials_source,
        direct,
        client_metadata,
    })
}

/// Parses the origin of a proxy. A text without scheme means http, as for other programs.
fn parse(text: &str) -> Result<Url, &'static str> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url =
        Url::parse(&with_scheme).map_err(|_| "is not a URL: write it as http://proxy.example.com:3128")?;
    match url.scheme() {
        "http" | "https" if url.path() == "/" && url.query().is_none() && url.fragment().is_none() => Ok(url),
        "http" | "https" => Err("has more than a scheme, a host and a port: leave the rest out"),
        _ => Err(
            "is not an http proxy, and the gateway knows no other: write `egress_proxy: off` in the site to \
                  ignore the variable",
        ),
    }
}

/// Moves user and password out of a URL, which is then fit for the log.
fn take_credentials(url: &mut Url) -> Option<ProxyCredentials> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| Secret::new(percent_decode_str(text).decode_utf8_lossy().into_owned());
    let username = decode(url.username());
    let password = decode(url.password().unwrap_or_default());
    // Both fail only for URLs without a host.
    let _ = (url.set_username(""), url.set_password(None));
    Some(ProxyCredentials { username, password })
}

/// Reads the credentials that the site names.
fn credentials(
    username: ValuePart,
    password: &'static str,
    environment: &Environment,
    problems: &mut Vec<String>,
) -> Option<ProxyCredentials> {
    let mut variable = |name: &str| {
        let before = problems.len();
        let value = environment.secret(name, problems);
        if value.is_none() && problems.len() == before {
            problems.push(format!(
                "{name} is not set: give it, or the path of its file in {name}_FILE (egress_proxy)"
            ));
        }
        value
    };
    let username = match username {
        ValuePart::Text(text) => Some(Secret::new(text)),
        ValuePart::Variable(name) => variable(name),
    };
    let password = variable(password);
    Some(ProxyCredentials { username: username?, password: password? })
}

impl EgressProxy {
    /// Origin of the proxy, without credentials.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// User and password at the proxy.
    pub const fn credentials(&self) -> Option<&ProxyCredentials> {
        self.credentials.as_ref()
    }

    /// Returns `true` for an https URL that is requested through the proxy.
    pub fn applies_to(&self, url: &Url) -> bool {
        url.scheme() == "https" && !self.direct.contains(url)
    }

    /// Describes the error of a request through the proxy. `causes` is the text of the HTTP client.
    pub fn describe(&self, causes: &str, host: &str) -> String {
        let (origin, source) = (self.origin(), &self.credentials_source);
        if causes.contains("proxy authorization required") {
            let what =
                if self.credentials.is_some() { "rejects the credentials" } else { "wants credentials" };
            format!("the egress proxy {origin} {what} (407): check {source}")
        } else if causes.contains("tunnel error: unsuccessful") {
            format!(
                "the egress proxy {origin} refuses to connect to {host}, or cannot: allow that host there"
            )
        } else if causes.contains("tunnel error") || causes.contains("tcp connect error") {
            format!("the egress proxy {origin} cannot be reached: {causes}")
        } else {
            format!("through the egress proxy {origin}: {causes}")
        }
    }
}

#[cfg(test)]
mod tests;
