use super::*;
use crate::proxy::stream::tests::tls_pair;
use std::future::poll_fn;
use tokio::net::{TcpListener, TcpStream};

const MINUTE: Duration = Duration::from_mins(1);

async fn reset_tcp() -> Stream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    listener.accept().await.unwrap().0.set_zero_linger().unwrap();
    Stream::Plain(near)
}

async fn reset_tls() -> Stream {
    let (near, server) = tls_pair().await;
    server.reset();
    near
}

#[tokio::test]
async fn a_post_is_retried_only_if_no_byte_of_it_can_have_been_sent() {
    for (mut stream, may_retry_post) in [(reset_tcp().await, true), (reset_tls().await, false)] {
        while stream.is_idle() {
            tokio::task::yield_now().await;
        }
        let (mut connection, mut buffers) = (UpstreamConnection::new(stream, MINUTE), IoBuffers::new());
        connection.begin(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n".to_vec(), None);
        let response = poll_fn(|context| {
            connection.poll_send(&mut None, context, &mut buffers).unwrap();
            connection.poll_response_head(&Method::POST, context, &mut buffers)
        });
        assert!(response.await.is_err());
        assert_eq!((connection.can_retry(false), connection.can_retry(true)), (may_retry_post, true));
    }
}
