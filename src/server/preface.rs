//! Detection of HTTP/2 without TLS (RFC 9113 §3.3) by the first bytes of a connection.

use rustix::net::{RecvFlags, recv};
use std::io;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The beginning of the client connection preface (RFC 9113 §3.4): no method of HTTP/1.1 has that name.
const PREFACE_START: [u8; 4] = *b"PRI ";

/// Waits for the first bytes, and returns whether they begin HTTP/2. They stay in the socket: a reader in front of
/// hyper's would cost every connection a larger buffer.
///
/// A part of the preface is waited on without a timer: its bytes stay unread, and the socket's readiness is cleared, so
/// that the next wake-up is the arrival of more bytes or the end of the stream.
pub(super) async fn begins_with_http_2(stream: &TcpStream) -> io::Result<bool> {
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        match stream.try_io(Interest::READABLE, || peek(stream)) {
            // Closed for good: no byte follows those that are there, and this readiness is never cleared.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && ready.is_read_closed() => {
                return Ok(false);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            decided => return decided,
        }
    }
}

/// Compares what has arrived; `WouldBlock` while that could become either protocol.
fn peek(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE_START.len()];
    let (length, _) = recv(stream, &mut first, RecvFlags::PEEK)?;
    if length == 0 || first[..length] != PREFACE_START[..length] {
        Ok(false)
    } else if length < PREFACE_START.len() {
        Err(io::ErrorKind::WouldBlock.into())
    } else {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::{sleep, timeout};

    const SOON: Duration = Duration::from_secs(10);

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.set_nodelay(true).unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    /// Sends the pieces one segment at a time, then the end of the stream if `closes`, and returns the decision and
    /// how often the waiting future was polled for it.
    async fn decision(pieces: &[&[u8]], closes: bool) -> (bool, u32) {
        let (mut client, server) = connected().await;
        let mut polls = 0;
        let counted = async {
            let mut waiting = pin!(begins_with_http_2(&server));
            std::future::poll_fn(|context| {
                polls += 1;
                waiting.as_mut().poll(context)
            })
            .await
        };
        let sent = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                sleep(Duration::from_millis(20)).await;
            }
            if closes {
                client.shutdown().await.unwrap();
            }
            client
        };
        let (decided, _client) = timeout(SOON, async { tokio::join!(counted, sent) }).await.unwrap();
        (decided.unwrap(), polls)
    }

    #[tokio::test]
    async fn the_preface_is_recognized_however_it_is_split() {
        for pieces in [
            &[b"PRI * HTTP/2.0".as_slice()][..],
            &[b"P", b"RI *"],
            &[b"P", b"R", b"I", b" "],
            &[b"PRI", b" "],
        ] {
            assert!(decision(pieces, false).await.0, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_method_is_http_1_however_it_is_split() {
        for pieces in [
            &[b"P".as_slice(), b"O", b"S", b"T"][..],
            &[b"PR", b"OPFIND"],
            &[b"PRI", b"NT"],
            &[b"G"],
            &[b"PUT /"],
        ] {
            assert!(!decision(pieces, false).await.0, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_within_the_preface_is_not_waited_for() {
        for pieces in [&[][..], &[b"P".as_slice()], &[b"PR", b"I"]] {
            let (is_http_2, polls) = decision(pieces, true).await;
            assert!(!is_http_2 && polls < 20, "{pieces:?}: {polls} polls");
        }
    }

    #[tokio::test]
    async fn a_part_of_the_preface_and_silence_cause_no_wake_up() {
        let (mut client, server) = connected().await;
        client.write_all(b"PRI").await.unwrap();
        let mut polls = 0;
        let waiting = async {
            let mut waiting = pin!(begins_with_http_2(&server));
            std::future::poll_fn(|context| {
                polls += 1;
                waiting.as_mut().poll(context)
            })
            .await
        };
        assert!(timeout(Duration::from_millis(300), waiting).await.is_err());
        // The first poll, the arrival of the bytes, and the end of this wait.
        assert!(polls <= 4, "{polls} polls");
        let mut waiting = pin!(begins_with_http_2(&server));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Pending));
    }
}
