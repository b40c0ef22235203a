//! `KVS_ADDR`: address, credentials and topology of Redis.

mod sentinel;
mod tls;

pub use sentinel::SentinelLogin;
pub(super) use sentinel::SentinelVariables;
pub(super) use tls::Files;
pub use tls::RedisTls;

use crate::base::secret::Secret;
use percent_encoding::percent_decode_str;
use std::num::ParseIntError;
use std::str::Utf8Error;
use thiserror::Error;
use url::Url;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Address, credentials and topology of Redis.
#[derive(Debug, Clone)]
pub struct RedisAddress {
    /// Topology.
    pub kind: RedisKind,
    /// Host names and ports: one server, or the seed nodes of a cluster or of Sentinels.
    pub hosts: Vec<(String, u16)>,
    /// TLS settings; `None` without TLS.
    pub tls: Option<RedisTls>,
    /// ACL user.
    pub user: Option<String>,
    /// Password of the user.
    pub password: Option<Secret>,
    /// Credentials at the Sentinels; `None` for Sentinels without a password.
    pub sentinel_login: Option<SentinelLogin>,
    /// Database number.
    pub database: u16,
}

/// Topology of a Redis deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisKind {
    /// Single server.
    Standalone,
    /// Sentinels that monitor the primary of this name.
    Sentinel(String),
    /// Redis Cluster.
    Cluster,
}

/// Problem of `KVS_ADDR`, without any part of the value: a predicate that follows its name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RedisAddressError {
    /// None of the notations.
    #[error(
        "must be host:port, redis://host:port, redis-sentinel://host:port,host:port/name or \
         redis-cluster://host:port,host:port (rediss… with TLS)"
    )]
    Notation,
    /// A query or a fragment.
    #[error("has a query or a fragment, which mean nothing here: leave them out")]
    QueryOrFragment,
    /// Several hosts of a single server.
    #[error("names several hosts: say redis-cluster:// or redis-sentinel://")]
    SeveralHosts,
    /// Sentinels without the name of a primary.
    #[error("names no primary: add its name, such as redis-sentinel://host:26379/mymaster")]
    NoPrimary,
    /// A database of a cluster.
    #[error("has a path, but a Cluster has only one database")]
    DatabaseOfCluster,
    /// A path that is not the number of a database.
    #[error("has a path that is not the number of a database")]
    Database(#[source] ParseIntError),
    /// Percent-encoded bytes that are not UTF-8.
    #[error("has a user or a password that is not UTF-8")]
    NotUtf8(#[source] Utf8Error),
    /// A password in the URL and a separate one.
    #[error("holds a password, and KVS_PASSWORD is set too: keep one")]
    TwoPasswords,
}

impl RedisAddress {
    /// Parses `KVS_ADDR`. The password is either part of the URL or passed separately (`KVS_PASSWORD`).
    ///
    /// # Errors
    /// The address has none of the notations, or its parts contradict each other.
    pub fn parse(address: &str, password: Option<Secret>) -> Result<Self, RedisAddressError> {
        let (scheme, rest) = address.split_once("://").unwrap_or(("redis", address));
        let tls = scheme.starts_with("rediss").then(RedisTls::default);
        let (userinfo, rest) =
            rest.rsplit_once('@').map_or((None, rest), |(userinfo, rest)| (Some(userinfo), rest));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (kind, database, port) = match scheme {
            "redis" | "rediss" => (RedisKind::Standalone, path, REDIS_PORT),
            "redis-cluster" | "rediss-cluster" => (RedisKind::Cluster, path, REDIS_PORT),
            "redis-sentinel" | "rediss-sentinel" => {
                let (name, database) = path.split_once('/').unwrap_or((path, ""));
                (RedisKind::Sentinel(name.to_owned()), database, SENTINEL_PORT)
            }
            _ => return Err(RedisAddressError::Notation),
        };
        let hosts = hosts.split(',').map(|text| host(text, port)).collect::<Result<Vec<_>, _>>()?;
        check(&kind, &hosts, database)?;
        let (user, in_url) = credentials(userinfo)?;
        if in_url.is_some() && password.is_some() {
            return Err(RedisAddressError::TwoPasswords);
        }
        let database = if database.is_empty() { Ok(0) } else { database.parse() };
        let database = database.map_err(RedisAddressError::Database)?;
        Ok(Self { kind, hosts, tls, user, password: in_url.or(password), sentinel_login: None, database })
    }
}

/// Parses a host name or address with an optional port.
fn host(text: &str, port: u16) -> Result<(String, u16), RedisAddressError> {
    let url = Url::parse(&format!("redis://{text}")).map_err(|_| RedisAddressError::Notation)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(RedisAddressError::QueryOrFragment);
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(RedisAddressError::Notation)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((host, url.port().unwrap_or(port)))
}

fn check(kind: &RedisKind, hosts: &[(String, u16)], database: &str) -> Result<(), RedisAddressError> {
    match kind {
        RedisKind::Standalone if hosts.len() > 1 => Err(RedisAddressError::SeveralHosts),
        RedisKind::Sentinel(name) if name.is_empty() => Err(RedisAddressError::NoPrimary),
        RedisKind::Cluster if !database.is_empty() => Err(RedisAddressError::DatabaseOfCluster),
        _ => Ok(()),
    }
}

/// Parses user and password.
fn credentials(userinfo: Option<&str>) -> Result<(Option<String>, Option<Secret>), RedisAddressError> {
    let Some(userinfo) = userinfo else { return Ok((None, None)) };
    let (user, password) =
        userinfo.split_once(':').map_or((userinfo, None), |(user, password)| (user, Some(password)));
    let user = if user.is_empty() { None } else { Some(decoded(user)?) };
    Ok((user, password.map(decoded).transpose()?.map(Secret::new)))
}

fn decoded(part: &str) -> Result<String, RedisAddressError> {
    let decoded = percent_decode_str(part).decode_utf8();
    Ok(decoded.map_err(RedisAddressError::NotUtf8)?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_three_notations() {
        for (written, host, port, tls) in [
            ("localhost:6380", "localhost", 6380, false),
            ("redis", "redis", 6379, false),
            ("[::1]:6380", "::1", 6380, false),
            ("redis://kv.example.com", "kv.example.com", 6379, false),
            ("rediss://kv.example.com:6390/", "kv.example.com", 6390, true),
        ] {
            let address = RedisAddress::parse(written, None).unwrap();
            assert_eq!(address.hosts, [(host.to_owned(), port)], "{written}");
            assert_eq!((address.kind, address.tls.is_some()), (RedisKind::Standalone, tls), "{written}");
        }
    }

    #[test]
    fn user_password_and_database_are_parsed_from_the_url() {
        let address = RedisAddress::parse("redis://mcp%40acme:p%2Fw@kv:6379/3", None).unwrap();
        assert_eq!(address.user.as_deref(), Some("mcp@acme"));
        assert_eq!(address.password.unwrap().expose(), "p/w");
        assert_eq!(address.database, 3);
    }

    #[test]
    fn the_scheme_selects_sentinel_or_cluster() {
        let address = RedisAddress::parse("redis-sentinel://mcp:pw@a,b:7000/primary/2", None).unwrap();
        assert_eq!(address.hosts, [("a".to_owned(), 26379), ("b".to_owned(), 7000)]);
        assert_eq!((address.kind, address.database), (RedisKind::Sentinel("primary".into()), 2));
        let address = RedisAddress::parse("rediss-cluster://a:1,b:2", None).unwrap();
        assert_eq!((address.kind, address.tls.is_some(), address.hosts.len()), (RedisKind::Cluster, true, 2));
        for wrong in ["redis://a,b", "redis-sentinel://a", "redis-cluster://a/1", "redis-cluster://a,,b"] {
            assert!(RedisAddress::parse(wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_does_not_contain_the_invalid_value() {
        for written in [
            "",
            ":6379",
            "unix:///run/redis.sock",
            "http://kv:hunter2@kv",
            "redis://kv:99999",
            "redis://:hunter2@",
            "redis://kv/hunter2",
            "redis://kv?password=hunter2",
        ] {
            let why = RedisAddress::parse(written, None).unwrap_err();
            assert!(!format!("{why} {why:?}").contains("hunter2"), "{written}: {why}");
        }
        let two = RedisAddress::parse("redis://:a@kv", Some(Secret::new("b"))).unwrap_err();
        assert_eq!(two, RedisAddressError::TwoPasswords);
    }
}
