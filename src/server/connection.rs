//! One connection, over HTTP/1.1 or over HTTP/2 without TLS, whichever its client begins to speak.

use super::patience::Activity;
use super::unstalled::{STALL, Unstalled};
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
use tokio::time::sleep;

/// How HTTP/2 begins (RFC 9113 §3.4): no method of HTTP/1.1 has that name.
const HTTP_2: [u8; 4] = *b"PRI ";
/// Until the rest of these bytes is looked for, when only some of them came.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How often an HTTP/2 client is asked whether it is still there, and how long it may take to say so.
const ASK: Duration = Duration::from_secs(30);
/// All header fields of a request together, in bytes. There can be a hundred of them, as hyper has it.
const LARGEST_HEAD: u32 = 32 * 1024;

type Failure = Box<dyn Error + Send + Sync>;

/// Runs tasks on the thread that they were made on.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// Serves until the client or we close the connection; once `activity` says that we stop, with the last answer that
/// is under way.
pub(super) async fn serve<S, B>(stream: TcpStream, service: S, activity: &Rc<Activity>) -> Result<(), Failure>
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
        begins = begins_with_http_2(&stream) => begins?,
        // Nothing was asked for: there is no answer to wait for.
        () = poll_fn(|context| if activity.is_stopped(context) { Poll::Ready(()) } else { Poll::Pending }) => {
            return Ok(());
        }
    };
    let stream = TokioIo::new(Unstalled::new(stream, STALL));
    // In boxes, since a task would hold both, and be as large as HTTP/2 needs.
    if is_http_2 {
        let connection = Box::pin(http_2().serve_connection(stream, service));
        Ok(until_stopped(connection, activity).await?)
    } else {
        let connection = Box::pin(http_1().serve_connection(stream, service));
        Ok(until_stopped(connection, activity).await?)
    }
}

/// Looks without taking anything away: a reader in front of hyper's would cost every connection a larger buffer.
async fn begins_with_http_2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; HTTP_2.len()];
    loop {
        let length = stream.peek(&mut first).await?;
        if length == HTTP_2.len() || length == 0 || first[..length] != HTTP_2[..length] {
            return Ok(first == HTTP_2);
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn until_stopped<C: GracefulConnection>(
    mut connection: Pin<Box<C>>,
    activity: &Rc<Activity>,
) -> Result<(), C::Error> {
    let mut is_told = false;
    poll_fn(|context| {
        if !is_told && activity.is_stopped(context) {
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
    builder.header_read_timeout(None).max_buf_size(LARGEST_HEAD as usize);
    builder
}

fn http_2() -> http2::Builder<OnThisThread> {
    let mut builder = http2::Builder::new(OnThisThread);
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(LARGEST_HEAD)
        .max_concurrent_streams(200)
        .keep_alive_interval(ASK)
        .keep_alive_timeout(ASK);
    builder
}
