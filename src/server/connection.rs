//! Client connections over HTTP/1.1, or HTTP/2 without TLS; the client's first bytes decide.

use super::client_stream::ClientStream;
use super::connection_state::ConnectionState;
use super::write_timeout::{WRITE_TIMEOUT, WriteTimeout};
use super::{preface, stream_timeout};
use crate::app::interruption::Interruption;
use hyper::body::{Body, Incoming};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;

/// Interval of HTTP/2 pings, and the timeout for their acknowledgement.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Maximum number of concurrent streams per HTTP/2 connection.
const MAX_STREAMS: u32 = 200;
/// Maximum number of streams that the client has reset and that are not processed yet; more of them close the
/// connection (rapid reset, CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// Maximum number of streams that the server has reset because of client errors; more of them close the connection
/// (CVE-2025-8671).
const MAX_LOCAL_RESETS: usize = 256;
/// Send buffer of each HTTP/2 stream, in bytes.
const MAX_SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Maximum size of a request head, in bytes. hyper limits the number of fields to 100.
const MAX_HEAD_BYTES: u32 = 32 * 1024;

type Failure = Box<dyn Error + Send + Sync>;

/// Executor that runs the task of each HTTP/2 stream on the thread of its connection, with a timeout for clients that
/// do not read the response.
#[derive(Clone)]
struct LocalExecutor {
    state: Rc<ConnectionState>,
    timeout: Duration,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, task: F) {
        let state = Rc::clone(&self.state);
        let task = stream_timeout::with_timeout(task, self.timeout);
        tokio::task::spawn_local(async move { state.streams.run(task).await });
    }
}

/// Serves a connection until it is closed by either side; once `state` is stopped, until every request that has arrived
/// has its response.
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
        // A request that has arrived before the connection was stopped is still served.
        biased;
        begins = preface::begins_with_http_2(&stream) => begins?,
        () = stopped_without_request(&stream, state) => false,
    };
    let stream = TokioIo::new(WriteTimeout::new(ClientStream::new(stream, Rc::clone(state)), WRITE_TIMEOUT));
    // Boxed: otherwise every task would be as large as the HTTP/2 connection.
    if is_http_2 {
        state.set_http_2();
        let connection = Box::pin(http_2(state, WRITE_TIMEOUT).serve_connection(stream, service));
        Ok(until_stopped(connection, state).await?)
    } else {
        let connection = Box::pin(http_1().serve_connection(stream, service));
        Ok(until_stopped(connection, state).await?)
    }
}

/// Waits until the connection is stopped and no byte has arrived on it.
async fn stopped_without_request(stream: &TcpStream, state: &ConnectionState) {
    poll_fn(|context| {
        if state.is_stopped(context) && !preface::has_received(stream) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Polls the connection to its end. Once `state` is stopped, it is closed as soon as that loses no request: hyper does
/// not look for one itself, and closing a socket with unread bytes would also reset the connection.
async fn until_stopped<C: GracefulConnection<Error = hyper::Error>>(
    mut connection: Pin<Box<C>>,
    state: &Rc<ConnectionState>,
) -> Result<(), C::Error> {
    let mut is_shutting_down = false;
    let served = poll_fn(|context| {
        let polled = connection.as_mut().poll(context);
        if polled.is_ready() || is_shutting_down || !(state.is_stopped(context) && state.may_close()) {
            return polled;
        }
        is_shutting_down = true;
        connection.as_mut().graceful_shutdown();
        connection.as_mut().poll(context)
    })
    .await;
    let stalled = served.as_ref().is_err_and(is_timeout).then(|| Interruption::Stalled.scope());
    drop(connection);
    drop(stalled);
    served
}

/// Returns `true` if a write timed out.
fn is_timeout(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

fn http_1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // `Connections` enforces the idle timeout.
    builder.header_read_timeout(None).max_buf_size(MAX_HEAD_BYTES as usize);
    builder
}

fn http_2(state: &Rc<ConnectionState>, timeout: Duration) -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(LocalExecutor { state: Rc::clone(state), timeout });
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
    use hyper::body::Frame;
    use hyper::service::service_fn;
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::task::Context;
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

    /// Reads frames up to the first one of this type.
    async fn read_until(client: &mut TcpStream, frame_type: u8) {
        let read = async {
            let mut head = [0; 9];
            while head[3] != frame_type {
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
            let response = Response::new(ResponseBody::new(body, state.begin_request(), None));
            std::future::ready(Ok::<_, Infallible>(response))
        })
    }

    #[tokio::test(flavor = "local")]
    async fn an_http_2_connection_without_requests_is_stopped_with_goaway() {
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
    async fn a_request_that_has_arrived_on_an_idle_connection_is_answered_before_it_is_closed() {
        const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for requests_before in [0, 1] {
            let (mut client, server) = connected().await;
            let state = Rc::new(ConnectionState::default());
            let serving = Rc::clone(&state);
            let service = service(&state);
            let task =
                tokio::task::spawn_local(async move { serve(server, service, &serving).await.is_ok() });
            for _ in 0..requests_before {
                client.write_all(REQUEST).await.unwrap();
                let mut response = Vec::new();
                while !response.ends_with(b"a response") {
                    assert!(timeout(SOON, client.read_buf(&mut response)).await.unwrap().unwrap() > 0);
                }
            }
            tokio::task::yield_now().await;
            // The task is woken before the runtime hears of the request.
            assert_eq!(client.try_write(REQUEST).unwrap(), REQUEST.len());
            state.stop();
            let mut rest = Vec::new();
            timeout(SOON, client.read_to_end(&mut rest)).await.unwrap().unwrap();
            assert!(rest.ends_with(b"a response"), "{}", String::from_utf8_lossy(&rest));
            drop(client);
            assert!(timeout(SOON, task).await.unwrap().unwrap());
        }
    }

    #[tokio::test(flavor = "local")]
    async fn an_http_2_stream_with_a_zero_window_is_reset_and_its_connection_stays_open() {
        let (mut client, server) = connected().await;
        let state = Rc::new(ConnectionState::default());
        let connection =
            http_2(&state, Duration::from_millis(50)).serve_connection(TokioIo::new(server), service(&state));
        tokio::task::spawn_local(connection);
        client.write_all(&[PREFACE, NO_WINDOW, GET].concat()).await.unwrap();
        read_until(&mut client, RST_STREAM).await;
        let next = [GET[..8].to_vec(), vec![3], GET[9..].to_vec()].concat();
        client.write_all(&next).await.unwrap();
        read_until(&mut client, RST_STREAM).await;
    }

    /// Endless body that notes to what its drop is attributed.
    struct Endless(Rc<Cell<Option<Interruption>>>);

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 16_384])))))
        }
    }

    impl Drop for Endless {
        fn drop(&mut self) {
            self.0.set(Some(Interruption::current()));
        }
    }

    #[tokio::test(flavor = "local")]
    async fn a_response_that_the_client_does_not_read_is_attributed_to_the_client() {
        let (mut client, server) = connected().await;
        let reason = Rc::new(Cell::new(None));
        let noted = Rc::clone(&reason);
        let service = service_fn(move |_: Request<Incoming>| {
            std::future::ready(Ok::<_, Infallible>(Response::new(Endless(Rc::clone(&noted)))))
        });
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let stream = TokioIo::new(WriteTimeout::new(server, Duration::from_millis(50)));
        let connection = Box::pin(http_1().serve_connection(stream, service));
        timeout(SOON, until_stopped(connection, &Rc::default())).await.unwrap().unwrap_err();
        assert_eq!(reason.get(), Some(Interruption::Stalled));
    }
}
