//! `KVS_ADDR`: where Redis is, and as whom we come.

use crate::secret::Secret;
use percent_encoding::percent_decode_str;
use url::Url;

const DEFAULT_PORT: u16 = 6379;

/// Where Redis is, and as whom we come.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: i64,
}

impl Address {
    /// Reads `host:port`, `redis://` or `rediss://`; a password may stand in the URL or beside it.
    pub(super) fn parse(address: &str, password: Option<Secret>) -> Result<Self, &'static str> {
        let written = if address.contains("://") { address.to_owned() } else { format!("redis://{address}") };
        let url = Url::parse(&written).map_err(|_| WANTED)?;
        let tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            _ => return Err(WANTED),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(WANTED)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a query or a fragment, which mean nothing here: leave them out");
        }
        let in_url = url.password().map(decoded).transpose()?.map(Secret::new);
        if in_url.is_some() && password.is_some() {
            return Err("holds a password, and KVS_PASSWORD is set too: keep one");
        }
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(DEFAULT_PORT),
            tls,
            user: Some(url.username()).filter(|user| !user.is_empty()).map(decoded).transpose()?,
            password: in_url.or(password),
            database: database(url.path())?,
        })
    }
}

const WANTED: &str = "must be host:port, redis://host:port or rediss://host:port";

fn decoded(part: &str) -> Result<String, &'static str> {
    let decoded = percent_decode_str(part).decode_utf8();
    Ok(decoded.map_err(|_| "has a user or a password that is not UTF-8")?.into_owned())
}

fn database(path: &str) -> Result<i64, &'static str> {
    match path.trim_start_matches('/') {
        "" => Ok(0),
        number => {
            Ok(number.parse::<u16>().map_err(|_| "has a path that is not the number of a database")?.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_in_three_ways() {
        for (written, host, port, tls) in [
            ("localhost:6380", "localhost", 6380, false),
            ("redis", "redis", 6379, false),
            ("[::1]:6380", "::1", 6380, false),
            ("redis://kv.example.com", "kv.example.com", 6379, false),
            ("rediss://kv.example.com:6390/", "kv.example.com", 6390, true),
        ] {
            let address = Address::parse(written, None).unwrap();
            assert_eq!((&*address.host, address.port, address.tls), (host, port, tls), "{written}");
        }
    }

    #[test]
    fn user_password_and_database_stand_in_the_url() {
        let address = Address::parse("redis://mcp%40acme:p%2Fw@kv:6379/3", None).unwrap();
        assert_eq!(address.user.as_deref(), Some("mcp@acme"));
        assert_eq!(address.password.unwrap().expose(), "p/w");
        assert_eq!(address.database, 3);
    }

    #[test]
    fn what_cannot_be_understood_is_refused_without_being_repeated() {
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
            let why = Address::parse(written, None).unwrap_err();
            assert!(!why.contains("hunter2"), "{written}: {why}");
        }
        assert!(Address::parse("redis://:a@kv", Some(Secret::new("b"))).unwrap_err().contains("keep one"));
    }
}
