//! One connection to Redis: made within bounds, and known to be broken when it is.
//!
//! `bb8_redis` has a manager too, but its connections are never found broken, so that its pool stays dead after a
//! restart of Redis, or asks PING before every call. Ours watch the task that reads from the socket.

use super::address::Address;
use bb8::ManageConnection;
use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, ServerErrorKind};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// From the name look-up to the end of the greeting.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// What takes longer counts as not answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Makes connections and judges them.
pub(super) struct Manager {
    address: Address,
    tls: Option<TlsConnector>,
}

/// A connection, its reader, and whether it must not be used again.
pub(super) struct Connection {
    pub(super) redis: MultiplexedConnection,
    reader: JoinHandle<()>,
    broken: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Connection {
    /// Learns from an error whether this connection can be used again. Only an answer that is about the command
    /// alone leaves it in use: after a failover even a well-formed error means that we talk to the wrong server.
    pub(super) fn judge(&mut self, error: &RedisError) {
        use ServerErrorKind::{NoPerm, ResponseError};
        let about_the_command =
            matches!(error.kind(), ErrorKind::Extension | ErrorKind::Server(ResponseError | NoPerm));
        self.broken |= !about_the_command;
    }
}

impl Manager {
    pub(super) fn new(address: Address) -> Result<Self, rustls::Error> {
        let tls = address.tls.then(connector).transpose()?;
        Ok(Self { address, tls })
    }

    async fn open(&self) -> Result<Connection, RedisError> {
        let Address { host, port, .. } = &self.address;
        let stream = TcpStream::connect((&**host, *port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => self.greet(stream).await,
            Some(tls) => {
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                self.greet(tls.connect(name, stream).await?).await
            }
        }
    }

    async fn greet<S>(&self, stream: S) -> Result<Connection, RedisError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut who = RedisConnectionInfo::default()
            .set_db(self.address.database)
            .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        if let Some(user) = &self.address.user {
            who = who.set_username(user);
        }
        if let Some(password) = &self.address.password {
            who = who.set_password(password.expose());
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_WITHIN));
        let (redis, reader) = MultiplexedConnection::new_with_config(&who, stream, config).await?;
        Ok(Connection { redis, reader: tokio::spawn(reader), broken: false })
    }
}

/// TLS with the web's roots.
fn connector() -> Result<TlsConnector, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = RedisError;

    async fn connect(&self) -> Result<Connection, RedisError> {
        let opened = tokio::time::timeout(CONNECT_WITHIN, self.open()).await;
        opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    /// Costs nothing: a closed socket has ended its reader.
    async fn is_valid(&self, connection: &mut Connection) -> Result<(), RedisError> {
        if self.has_broken(connection) {
            Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
        } else {
            Ok(())
        }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.broken || connection.reader.is_finished()
    }
}
