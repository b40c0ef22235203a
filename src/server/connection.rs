//! One connection, over HTTP/1.1 or over HTTP/2 without TLS, whichever its client begins to speak.

use super::idle_timeout::ConnectionState;
use super::write_timeout::{WRITE_TIMEOUT, WriteTimeout};
use super::{preface, stream_timeout};
use hyper::body::{Body, Incoming};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;

/// How often an HTTP/2 client is asked whether it is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Concurrent requests of an HTTP/2 connection.
const MAX_STREAMS: u32 = 200;
/// Requests that a client has reset before they were looked at; more of them end the connection (rapid reset,
/// CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// Streams that we have reset because of what their client sent; more of them end the connection (CVE-2025-8671).
const MAX_LOCAL_RESETS: usize = 256;
/// Bytes of responses that wait in each HTTP/2 stream for the client to take them.
const MAX_SEND_BUFFER_BYTES: usize = 64 * 1024;
/// All header fields of a request together, in bytes. There can be a hundred of them, as hyper has it.
const MAX_HEAD_BYTES: u32 = 32 * 1024;

type Failure = Box<dyn Error + Send + Sync>;

/// Runs the task of each HTTP/2 stream on the thread of its connection, until its client takes nothing of the response
/// for `timeout`.
#[derive(Clone, Copy)]
struct OnThisThread {
    timeout: Duration,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(stream_timeout::with_timeout(task, self.timeout));
    }
}

/// Serves until the client or we close the connection; once `state` says that we stop, with the last answer that
/// is under way.
pub(super) async fn serve<S, B>(
    stream: TcpStream,
    service: S,
    state: &Rc<ConnectionState>,
) -> Result<(), Failure>
where
    S: HttpService<Incoming, ResBody = B> + 'static,
    S::Error: Into<Failure>,
    S::Future: 'static,
    B: Body<Error: Into<Failure>> + 'static,
    B::Data: Send,
{
    let is_http_2 = tokio::select! {
        // What has come by the time that we stop is still answered.
        biased;
        begins = preface::begins_with_http_2(&stream) => begins?,
        // Nothing was asked for: there is no answer to wait for.
        () = poll_fn(|context| if state.is_stopped(context) { Poll::Ready(()) } else { Poll::Pending }) => {
            return Ok(());
        }
    };
    let stream = TokioIo::new(WriteTimeout::new(stream, WRITE_TIMEOUT));
    // In boxes, since a task would hold both, and be as large as HTTP/2 needs.
    if is_http_2 {
        state.speaks_http_2();
        let connection = Box::pin(http_2(WRITE_TIMEOUT).serve_connection(stream, service));
        Ok(until_stopped(connection, state).await?)
    } else {
        let connection = Box::pin(http_1().serve_connection(stream, service));
        Ok(until_stopped(connection, state).await?)
    }
}

async fn until_stopped<C: GracefulConnection>(
    mut connection: Pin<Box<C>>,
    state: &Rc<ConnectionState>,
) -> Result<(), C::Error> {
    let mut is_told = false;
    poll_fn(|context| {
        if !is_told && state.is_stopped(context) {
            is_told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    })
    .await
}

fn http_1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Silent connections are looked after by `Connections`.
    builder.header_read_timeout(None).max_buf_size(MAX_HEAD_BYTES as usize);
    builder
}

fn http_2(timeout: Duration) -> http2::Builder<OnThisThread> {
    let mut builder = http2::Builder::new(OnThisThread { timeout });
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}

#[cfg(test)]
mod tests {
    use super::super::response_body::ResponseBody;
    use super::*;
    use bytes::Bytes;
    use http::{Request, Response};
    use hyper::service::service_fn;
    use std::convert::Infallible;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(20);
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    /// SETTINGS without a setting, and with `SETTINGS_INITIAL_WINDOW_SIZE` at zero (RFC 9113 §6.5).
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const NO_WINDOW: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    /// HEADERS of `GET / http` on stream 1, which end the stream.
    const GET: &[u8] = &[0, 0, 3, 1, 5, 0, 0, 0, 1, 0x82, 0x84, 0x86];
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    /// Reads frames until one of this type comes.
    async fn read_until(client: &mut TcpStream, wanted: u8) {
        let read = async {
            let mut head = [0; 9];
            while head[3] != wanted {
                client.read_exact(&mut head).await.unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                client.read_exact(&mut vec![0; length as usize]).await.unwrap();
            }
        };
        timeout(SOON, read).await.unwrap();
    }

    fn service(
        state: &Rc<ConnectionState>,
    ) -> impl HttpService<Incoming, ResBody = ResponseBody, Error = Infallible, Future: 'static> + use<> {
        let state = Rc::clone(state);
        service_fn(move |_: Request<Incoming>| {
            let body = crate::proxy::Body::full(Bytes::from_static(b"a response"));
            let response = Response::new(ResponseBody::new(body, state.request()));
            std::future::ready(Ok::<_, Infallible>(response))
        })
    }

    #[tokio::test(flavor = "local")]
    async fn http_2_on_which_nothing_is_asked_ends_with_goaway() {
        let (mut client, server) = connected().await;
        let state = Rc::new(ConnectionState::default());
        let serving = Rc::clone(&state);
        let service = service(&state);
        let task = tokio::task::spawn_local(async move { serve(server, service, &serving).await.is_ok() });
        client.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
        read_until(&mut client, 4).await;
        state.stop();
        read_until(&mut client, GOAWAY).await;
        drop(client);
        timeout(SOON, task).await.unwrap().unwrap();
    }

    #[tokio::test(flavor = "local")]
    async fn an_http_2_stream_whose_window_stays_at_zero_is_reset_and_its_connection_goes_on() {
        let (mut client, server) = connected().await;
        let state = Rc::new(ConnectionState::default());
        let connection =
            http_2(Duration::from_millis(50)).serve_connection(TokioIo::new(server), service(&state));
        tokio::task::spawn_local(connection);
        client.write_all(&[PREFACE, NO_WINDOW, GET].concat()).await.unwrap();
        read_until(&mut client, RST_STREAM).await;
        let next = [GET[..8].to_vec(), vec![3], GET[9..].to_vec()].concat();
        client.write_all(&next).await.unwrap();
        read_until(&mut client, RST_STREAM).await;
    }
}
