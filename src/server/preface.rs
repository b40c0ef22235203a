//! Detection of HTTP/2 without TLS (RFC 9113 §3.3) by the first bytes of a connection.

use rustix::net::{RecvFlags, recv};
use std::io;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Start of the client connection preface (RFC 9113 §3.4); it is reserved and no HTTP/1.1 method.
const PREFACE_START: [u8; 4] = *b"PRI ";

/// Waits for the first bytes and returns true if they begin HTTP/2. They are only peeked at: a reader in front of
/// hyper's would cost every connection a larger buffer.
///
/// An incomplete preface needs no timer here: its bytes stay unread and the socket's readiness is cleared, so that the
/// next wake-up is caused by more bytes or the end of the stream.
pub(super) async fn begins_with_http_2(stream: &TcpStream) -> io::Result<bool> {
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        match stream.try_io(Interest::READABLE, || peek(stream)) {
            // Half-closed: no more bytes follow, and this readiness is never cleared.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && ready.is_read_closed() => {
                return Ok(false);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            decided => return decided,
        }
    }
}

/// Returns `true` if bytes have arrived that nobody has read. The socket is asked: the runtime may not know yet.
pub(super) fn has_received(stream: &TcpStream) -> bool {
    recv(stream, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT).is_ok_and(|(length, _)| length > 0)
}

/// Compares the received bytes with the preface; `WouldBlock` while the protocol is undecided.
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

    /// Sends each part in a segment of its own, then FIN if `closes`; returns the decision and the number of polls
    /// that it took.
    async fn decision(parts: &[&[u8]], closes: bool) -> (bool, u32) {
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
            for part in parts {
                client.write_all(part).await.unwrap();
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
        for parts in [
            &[b"PRI * HTTP/2.0".as_slice()][..],
            &[b"P", b"RI *"],
            &[b"P", b"R", b"I", b" "],
            &[b"PRI", b" "],
        ] {
            assert!(decision(parts, false).await.0, "{parts:?}");
        }
    }

    #[tokio::test]
    async fn a_method_is_recognized_as_http_1_however_it_is_split() {
        for parts in [
            &[b"P".as_slice(), b"O", b"S", b"T"][..],
            &[b"PR", b"OPFIND"],
            &[b"PRI", b"NT"],
            &[b"G"],
            &[b"PUT /"],
        ] {
            assert!(!decision(parts, false).await.0, "{parts:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_within_the_preface_is_http_1() {
        for parts in [&[][..], &[b"P".as_slice()], &[b"PR", b"I"]] {
            let (is_http_2, polls) = decision(parts, true).await;
            assert!(!is_http_2 && polls < 20, "{parts:?}: {polls} polls");
        }
    }

    #[tokio::test]
    async fn an_incomplete_preface_causes_no_wake_up() {
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
