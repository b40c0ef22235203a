//! HTTP/1.1 connections written by hand: a client that knows what it has sent, and whether the end was announced.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// A connection to a gateway on this machine.
pub(super) struct Connection {
    stream: TcpStream,
    host: String,
    /// The last response said that it is closed.
    pub(super) is_announced: bool,
}

/// A response.
#[derive(Debug)]
pub(super) struct RawResponse {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Connection {
    /// Connects to the gateway at this base URL.
    pub(super) fn open(base_url: &str) -> io::Result<Self> {
        let host = base_url.trim_start_matches("http://").to_owned();
        let port: u16 = host.rsplit(':').next().unwrap().parse().unwrap();
        let stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), SOON)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SOON))?;
        Ok(Self { stream, host, is_announced: false })
    }

    /// Returns `true` if the end of the connection has arrived.
    pub(super) fn is_closed(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0; 1]);
        self.stream.set_nonblocking(false).unwrap();
        !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Sends a GET request with these headers.
    pub(super) fn send(&mut self, path: &str, headers: &str) -> io::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.host);
        self.send_part(&request)
    }

    /// Sends bytes of a request; `HOST` in them becomes the gateway's own.
    pub(super) fn send_part(&mut self, part: &str) -> io::Result<()> {
        self.stream.write_all(part.replace("HOST", &self.host).as_bytes())
    }

    /// Reads a response.
    pub(super) fn receive(&mut self) -> io::Result<RawResponse> {
        let mut response = self.receive_head()?;
        self.receive_body(&mut response)?;
        Ok(response)
    }

    /// Reads the head of a response, in lower case.
    pub(super) fn receive_head(&mut self) -> io::Result<RawResponse> {
        let head = String::from_utf8(self.read_until(b"\r\n\r\n")?).unwrap().to_lowercase();
        self.is_announced = head.contains("\r\nconnection: close\r\n");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(RawResponse { status, head, body: Vec::new() })
    }

    /// Reads the body that follows, of known length or in chunks.
    pub(super) fn receive_body(&mut self, response: &mut RawResponse) -> io::Result<()> {
        let length = response.head.lines().find_map(|line| line.strip_prefix("content-length: "));
        response.body = match length {
            Some(length) => {
                let mut body = vec![0; length.parse().unwrap()];
                self.stream.read_exact(&mut body)?;
                body
            }
            None => self.read_until(b"\r\n0\r\n\r\n")?,
        };
        Ok(())
    }

    /// Sends a GET request and reads the response.
    pub(super) fn get(&mut self, path: &str) -> io::Result<RawResponse> {
        self.send(path, "")?;
        self.receive()
    }

    fn read_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            read.push(byte[0]);
        }
        Ok(read)
    }
}
