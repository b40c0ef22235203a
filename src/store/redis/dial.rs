//! Connection set-up: TCP, TLS, the handshake of the protocol, and the look-up of the primary at the Sentinels.

use super::connection::Connection;
use crate::settings::{RedisAddress, RedisKind, RedisTls};
use bb8_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use bb8_redis::redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, Value, cmd};
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Timeout of a command's response.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of one Sentinel, after which the next one is tried.
const SENTINEL_TIMEOUT: Duration = Duration::from_millis(150);

/// Opener of connections to one server: the configured one, or the current primary.
pub(super) struct Dialer {
    address: RedisAddress,
    tls: Option<TlsConnector>,
}

impl Dialer {
    pub(super) fn new(address: RedisAddress) -> Result<Self, rustls::Error> {
        let tls = address.tls.as_ref().map(RedisTls::config).transpose()?;
        let tls = tls.map(|config| TlsConnector::from(Arc::new(config)));
        Ok(Self { address, tls })
    }

    /// Opens a connection, and authenticates.
    pub(super) async fn dial(&self) -> Result<Connection, RedisError> {
        let mut login = RedisConnectionInfo::default()
            .set_db(self.address.database.into())
            .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        if let Some(user) = &self.address.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.address.password {
            login = login.set_password(password.expose());
        }
        match &self.address.kind {
            RedisKind::Sentinel(name) => {
                let mut connection = self.open(&self.primary(name).await?, &login).await?;
                require_primary(&mut connection).await?;
                Ok(connection)
            }
            RedisKind::Standalone | RedisKind::Cluster => self.open(&self.address.hosts[0], &login).await,
        }
    }

    /// Returns the address of the primary, from the first Sentinel that knows it. Sentinels get no password.
    async fn primary(&self, name: &str) -> Result<(String, u16), RedisError> {
        let mut last = RedisError::from(io::Error::other("no Sentinel knows a primary of this name"));
        for sentinel in &self.address.hosts {
            match tokio::time::timeout(SENTINEL_TIMEOUT, self.query_sentinel(sentinel, name)).await {
                Ok(Ok(Some(primary))) => return Ok(primary),
                Ok(Ok(None)) | Err(_) => {}
                Ok(Err(error)) => last = error,
            }
        }
        Err(last)
    }

    async fn query_sentinel(
        &self,
        sentinel: &(String, u16),
        name: &str,
    ) -> Result<Option<(String, u16)>, RedisError> {
        let mut connection = self.open(sentinel, &RedisConnectionInfo::default()).await?;
        let mut query = cmd("SENTINEL");
        query.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        query.query_async(&mut connection).await
    }

    async fn open(
        &self,
        host: &(String, u16),
        login: &RedisConnectionInfo,
    ) -> Result<Connection, RedisError> {
        let stream = TcpStream::connect((&*host.0, host.1)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => handshake(stream, login).await,
            Some(tls) => {
                let name = ServerName::try_from(host.0.clone()).map_err(io::Error::other)?;
                handshake(tls.connect(name, stream).await?, login).await
            }
        }
    }
}

async fn handshake<S>(stream: S, login: &RedisConnectionInfo) -> Result<Connection, RedisError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
    let (redis, reader) = MultiplexedConnection::new_with_config(login, stream, config).await?;
    Ok(Connection::single(redis, tokio::spawn(reader)))
}

/// Checks that the server is a primary: one that was demoted a moment ago would return stale data.
async fn require_primary(connection: &mut impl ConnectionLike) -> Result<(), RedisError> {
    let role: Vec<Value> = cmd("ROLE").query_async(connection).await?;
    match role.first() {
        Some(Value::BulkString(role)) if role == b"master" => Ok(()),
        _ => Err(io::Error::other("the server that the Sentinels name is not a primary").into()),
    }
}
