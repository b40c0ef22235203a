//! From an address to a connection that has been greeted: TCP, TLS, and the Sentinels who know the primary.

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

/// What takes longer counts as not answered.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long one Sentinel is listened to before the next is asked.
const SENTINEL_WITHIN: Duration = Duration::from_millis(150);

/// Opens connections to one server: the only one, or the primary of the moment.
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

    pub(super) async fn dial(&self) -> Result<Connection, RedisError> {
        let mut who = RedisConnectionInfo::default()
            .set_db(self.address.database.into())
            .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        if let Some(user) = &self.address.user {
            who = who.set_username(user);
        }
        if let Some(password) = &self.address.password {
            who = who.set_password(password.expose());
        }
        match &self.address.kind {
            RedisKind::Sentinel(name) => {
                let mut connection = self.open(&self.primary(name).await?, &who).await?;
                is_primary(&mut connection).await?;
                Ok(connection)
            }
            RedisKind::One | RedisKind::Cluster => self.open(&self.address.hosts[0], &who).await,
        }
    }

    /// What the first Sentinel that knows says; Sentinels get no password.
    async fn primary(&self, name: &str) -> Result<(String, u16), RedisError> {
        let mut last = RedisError::from(io::Error::other("no Sentinel knows the primary of this name"));
        for sentinel in &self.address.hosts {
            match tokio::time::timeout(SENTINEL_WITHIN, self.ask(sentinel, name)).await {
                Ok(Ok(Some(primary))) => return Ok(primary),
                Ok(Ok(None)) | Err(_) => {}
                Ok(Err(error)) => last = error,
            }
        }
        Err(last)
    }

    async fn ask(&self, sentinel: &(String, u16), name: &str) -> Result<Option<(String, u16)>, RedisError> {
        let mut connection = self.open(sentinel, &RedisConnectionInfo::default()).await?;
        let mut ask = cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        ask.query_async(&mut connection).await
    }

    async fn open(&self, host: &(String, u16), who: &RedisConnectionInfo) -> Result<Connection, RedisError> {
        let stream = TcpStream::connect((&*host.0, host.1)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => greet(stream, who).await,
            Some(tls) => {
                let name = ServerName::try_from(host.0.clone()).map_err(io::Error::other)?;
                greet(tls.connect(name, stream).await?, who).await
            }
        }
    }
}

async fn greet<S>(stream: S, who: &RedisConnectionInfo) -> Result<Connection, RedisError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_WITHIN));
    let (redis, reader) = MultiplexedConnection::new_with_config(who, stream, config).await?;
    Ok(Connection::to_one(redis, tokio::spawn(reader)))
}

/// A replica that was a primary a moment ago would give old answers.
async fn is_primary(connection: &mut impl ConnectionLike) -> Result<(), RedisError> {
    let role: Vec<Value> = cmd("ROLE").query_async(connection).await?;
    match role.first() {
        Some(Value::BulkString(role)) if role == b"master" => Ok(()),
        _ => Err(io::Error::other("what the Sentinels name is not the primary yet").into()),
    }
}
