//! Hand-written HTTP/2 frames that no client sends.

use super::{ADDRESS_A, TIMEOUT, connect, limited, port};
use crate::harness::{StoreKind, World, http};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\x0012345678";
const EMPTY_SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const GOAWAY: u8 = 7;
/// Larger than the socket buffers of both ends of a loopback connection.
const MAX_UNREAD_BYTES: usize = 64 << 20;

async fn open_http2(world: &World) -> TcpStream {
    let mut stream = connect(port(world), ADDRESS_A).await;
    stream.write_all(PREFACE).await.unwrap();
    stream
}

/// HEADERS frame of `GET / http` that ends this stream.
fn get(stream: u32) -> Vec<u8> {
    [&[0, 0, 3, 1, 5], &stream.to_be_bytes()[..], &[0x82, 0x84, 0x86]].concat()
}

/// `RST_STREAM` frame with CANCEL.
fn reset(stream: u32) -> Vec<u8> {
    [&[0, 0, 4, 3, 0], &stream.to_be_bytes()[..], &8_u32.to_be_bytes()].concat()
}

/// Reads frames up to GOAWAY and returns its error code.
async fn goaway(client: &mut TcpStream) -> u32 {
    let read = async {
        loop {
            let mut head = [0; 9];
            client.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            client.read_exact(&mut payload).await.unwrap();
            if head[3] == GOAWAY {
                return u32::from_be_bytes(payload[4..8].try_into().unwrap());
            }
        }
    };
    timeout(TIMEOUT, read).await.unwrap()
}

async fn assert_serving(world: &World) {
    let response = timeout(TIMEOUT, http().get(world.url("/")).send()).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn http_2_rapid_resets_close_their_connection_only() {
    let world = World::start().await;
    let mut client = open_http2(&world).await;
    let flood: Vec<u8> = (0..5_000).flat_map(|n| [get(2 * n + 1), reset(2 * n + 1)].concat()).collect();
    // The gateway may close the connection before everything is sent.
    let _ = client.write_all(&flood).await;
    assert_eq!(goaway(&mut client).await, 11, "ENHANCE_YOUR_CALM");
    assert_serving(&world).await;
}

#[tokio::test]
async fn a_flood_of_unread_http_2_pings_or_settings_is_bounded() {
    let world = World::start().await;
    for frame in [PING, EMPTY_SETTINGS] {
        let mut client = open_http2(&world).await;
        let (flood, mut sent) = (frame.repeat(4_000), 0);
        while sent < MAX_UNREAD_BYTES {
            match timeout(Duration::from_secs(1), client.write(&flood)).await {
                Ok(Ok(length)) => sent += length,
                Ok(Err(_)) | Err(_) => break,
            }
        }
        assert!(sent < MAX_UNREAD_BYTES, "{sent} bytes were accepted");
        assert_serving(&world).await;
    }
}

#[tokio::test]
async fn unread_http_2_streams_are_bounded_per_address() {
    let world = World::with(StoreKind::Embedded, limited(20, 6)).await;
    let mut client = connect(port(&world), ADDRESS_A).await;
    let zero_window_preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
    client.write_all(zero_window_preface).await.unwrap();
    client.write_all(&(0..20).flat_map(|n| get(2 * n + 1)).collect::<Vec<u8>>()).await.unwrap();
    let mut statuses = 0;
    let read = async {
        while statuses < 20 {
            let mut head = [0; 9];
            client.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            client.read_exact(&mut vec![0; length as usize]).await.unwrap();
            statuses += usize::from(head[3] == 1);
        }
    };
    timeout(TIMEOUT, read).await.unwrap();
    // The connection and five streams use the whole limit of this address, and none of another.
    assert_eq!(super::status(&super::get(port(&world), ADDRESS_A, "/").await), 429);
    assert_eq!(super::status(&super::get(port(&world), super::ADDRESS_B, "/").await), 200);
    drop(client);
    super::wait_for_status(port(&world), ADDRESS_A, "/", 200).await;
}
