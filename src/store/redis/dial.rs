//! Connection set-up: TCP, TLS, the handshake of the protocol, and the look-up of the primary at the Sentinels.

use super::connection::Connection;
use super::failure::{RedisFailure, Server, address};
use crate::base::secret::Secret;
use crate::settings::{RedisAddress, RedisKind, RedisTls, SentinelLogin};
use bb8_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use bb8_redis::redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, Value, cmd, pipe};
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
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

/// User, password and database at one server.
#[derive(Default, Clone, Copy)]
struct Login<'a> {
    user: Option<&'a str>,
    password: Option<&'a Secret>,
    database: u16,
}

impl Dialer {
    pub(super) fn new(address: RedisAddress) -> Result<Self, rustls::Error> {
        let tls = address.tls.as_ref().map(RedisTls::config).transpose()?;
        let tls = tls.map(|config| TlsConnector::from(Arc::new(config)));
        Ok(Self { address, tls })
    }

    /// Server that errors without a better one are about.
    pub(super) fn server(&self) -> Server {
        Server::One(address(&self.address.hosts[0]))
    }

    /// Opens a connection, and authenticates.
    pub(super) async fn dial(&self) -> Result<Connection, RedisFailure> {
        let login = Login {
            user: self.address.user.as_deref(),
            password: self.address.password.as_ref(),
            database: self.address.database,
        };
        match &self.address.kind {
            RedisKind::Sentinel(name) => {
                let primary = self.primary(name).await?;
                let server = Server::One(address(&primary));
                let mut connection = self.open(&primary, server.clone(), login).await?;
                let checked = require_primary(&mut connection).await;
                checked.map_err(|error| RedisFailure::at(&server, error))?;
                Ok(connection)
            }
            RedisKind::Standalone | RedisKind::Cluster => {
                self.open(&self.address.hosts[0], self.server(), login).await
            }
        }
    }

    /// Returns the address of the primary, from the first Sentinel that knows it. Of several errors, a refusal counts.
    async fn primary(&self, name: &str) -> Result<(String, u16), RedisFailure> {
        let mut failures: Vec<RedisFailure> = Vec::new();
        for sentinel in &self.address.hosts {
            let server = Server::Sentinel(address(sentinel));
            let asked = tokio::time::timeout(SENTINEL_TIMEOUT, self.query_sentinel(sentinel, &server, name));
            failures.push(match asked.await {
                Ok(Ok(Some(primary))) => return Ok(primary),
                Ok(Ok(None)) => {
                    RedisFailure::at(&server, io::Error::other("it knows no primary of the name in KVS_ADDR"))
                }
                Ok(Err(error)) => error,
                Err(_) => RedisFailure::at(&server, io::Error::from(io::ErrorKind::TimedOut)),
            });
        }
        let refusal = failures.iter().position(RedisFailure::is_refusal);
        let failure = match refusal {
            Some(at) => Some(failures.swap_remove(at)),
            None => failures.pop(),
        };
        Err(failure
            .unwrap_or_else(|| RedisError::from(io::Error::other("KVS_ADDR names no Sentinel")).into()))
    }

    async fn query_sentinel(
        &self,
        sentinel: &(String, u16),
        server: &Server,
        name: &str,
    ) -> Result<Option<(String, u16)>, RedisFailure> {
        let login = self.address.sentinel_login.as_ref();
        let login = login.map_or_else(Login::default, |SentinelLogin { user, password }| Login {
            user: user.as_deref(),
            password: Some(password),
            database: 0,
        });
        let mut connection = self.open(sentinel, server.clone(), login).await?;
        let mut query = cmd("SENTINEL");
        query.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        query.query_async(&mut connection).await.map_err(|error: RedisError| RedisFailure::at(server, error))
    }

    async fn open(
        &self,
        host: &(String, u16),
        server: Server,
        login: Login<'_>,
    ) -> Result<Connection, RedisFailure> {
        let connected = self.connect(host, login).await;
        let (redis, reader) = connected.map_err(|error| RedisFailure::at(&server, error))?;
        Ok(Connection::single(redis, reader, server))
    }

    async fn connect(
        &self,
        host: &(String, u16),
        login: Login<'_>,
    ) -> Result<(MultiplexedConnection, JoinHandle<()>), RedisError> {
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

/// Starts the protocol, and logs in. The client library would log in too, but it drops the reason of a refusal.
async fn handshake<S>(
    stream: S,
    login: Login<'_>,
) -> Result<(MultiplexedConnection, JoinHandle<()>), RedisError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
    let plain = RedisConnectionInfo::default().set_skip_set_lib_name();
    let (mut redis, reader) = MultiplexedConnection::new_with_config(&plain, stream, config).await?;
    let reader = tokio::spawn(reader);
    match log_in(&mut redis, login).await {
        Ok(()) => Ok((redis, reader)),
        Err(error) => {
            reader.abort();
            Err(error)
        }
    }
}

/// Authenticates, selects the database and names this client, in one round trip. Old servers and users without the right
/// have no name.
async fn log_in(redis: &mut MultiplexedConnection, login: Login<'_>) -> Result<(), RedisError> {
    let mut commands = pipe();
    let mut required = 0;
    if let Some(password) = login.password {
        let mut authenticate = cmd("AUTH");
        if let Some(user) = login.user {
            authenticate.arg(user);
        }
        authenticate.arg(password.expose());
        commands.add_command(authenticate);
        required += 1;
    }
    if login.database != 0 {
        commands.cmd("SELECT").arg(login.database);
        required += 1;
    }
    for (name, value) in [("LIB-NAME", env!("CARGO_PKG_NAME")), ("LIB-VER", env!("CARGO_PKG_VERSION"))] {
        commands.cmd("CLIENT").arg("SETINFO").arg(name).arg(value);
    }
    let responses = redis.req_packed_commands(&commands, 0, required + 2).await?;
    responses.into_iter().take(required).try_for_each(|response| response.extract_error().map(drop))
}

/// Checks that the server is a primary: one that was demoted a moment ago would return stale data.
async fn require_primary(connection: &mut impl ConnectionLike) -> Result<(), RedisError> {
    let role: Vec<Value> = cmd("ROLE").query_async(connection).await?;
    match role.first() {
        Some(Value::BulkString(role)) if role == b"master" => Ok(()),
        _ => Err(io::Error::other("the server that the Sentinels name is not a primary").into()),
    }
}
