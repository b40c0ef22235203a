//! nginx in the configurations that the gateway is compared with: one process, one port for each.

use crate::gateway::{MCP_PATH, free_port, wait_for};
use crate::process::{self, Process, SERVER_CORE};
use crate::{Outcome, backend, site};
use std::fs;
use std::process::Stdio;

/// nginx configuration; all of them use keep-alive connections to the backend.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nginx {
    /// `proxy_pass` with defaults.
    Plain,
    /// `proxy_buffering off`.
    Unbuffered,
    /// Buffers of 64 KiB.
    LargeBuffers,
    /// `auth_request` to an endpoint that always allows; its CPU time is not counted.
    AuthRequest,
    /// `Plain` with an access log.
    Logged,
    /// `Plain` over HTTP/2 without TLS.
    H2c,
}

const ALL: [Nginx; 6] =
    [Nginx::Plain, Nginx::Unbuffered, Nginx::LargeBuffers, Nginx::AuthRequest, Nginx::Logged, Nginx::H2c];

impl Nginx {
    fn directives(self) -> &'static str {
        match self {
            Self::Plain | Self::H2c => "",
            Self::Unbuffered => "proxy_buffering off; proxy_request_buffering off;",
            Self::LargeBuffers => {
                "proxy_buffer_size 64k; proxy_buffers 16 64k; proxy_busy_buffers_size 128k; \
                 client_body_buffer_size 2m;"
            }
            Self::AuthRequest => "auth_request /check;",
            Self::Logged => "access_log /dev/null;",
        }
    }
}

/// Running nginx process.
pub(crate) struct Running {
    pub(crate) process: Process,
    ports: Vec<u16>,
}

impl Running {
    /// Starts nginx with all configurations.
    pub(crate) async fn start() -> Outcome<Self> {
        let ports = ALL.iter().map(|_| free_port()).collect::<Outcome<Vec<_>>>()?;
        fs::create_dir_all(site::folder())?;
        let file = site::folder().join("nginx.conf");
        fs::write(&file, configuration(&ports))?;
        let mut command = process::command(SERVER_CORE, "nginx");
        command.arg("-p").arg(site::folder()).arg("-e").arg("stderr").arg("-c").arg(&file);
        command.stdout(Stdio::null());
        let running = Self { process: Process::start(command)?, ports };
        wait_for(&running.address(Nginx::Plain)).await?;
        Ok(running)
    }

    /// Host and port of a configuration.
    pub(crate) fn address(&self, which: Nginx) -> String {
        let port =
            ALL.iter().zip(&self.ports).find(|(nginx, _)| **nginx == which).map_or(0, |(_, port)| *port);
        format!("127.0.0.1:{port}")
    }
}

fn configuration(ports: &[u16]) -> String {
    let port = backend::PORT;
    let servers: String = ALL.iter().zip(ports).map(|(nginx, port)| server(*nginx, *port)).collect();
    format!(
        "daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 20000;
error_log stderr error; pid nginx.pid;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; client_max_body_size 8m;
  client_body_temp_path body; proxy_temp_path proxied; fastcgi_temp_path unused; uwsgi_temp_path unused;
  scgi_temp_path unused;
  upstream backend {{ server 127.0.0.1:{port}; keepalive 512; keepalive_requests 1000000000; }}
  proxy_read_timeout 1h; proxy_http_version 1.1; proxy_set_header Connection \"\";
{servers}}}
"
    )
}

fn server(nginx: Nginx, port: u16) -> String {
    let http2 = if nginx == Nginx::H2c { " http2" } else { "" };
    format!(
        "  server {{
    listen 127.0.0.1:{port}{http2} backlog=1024;
    location {MCP_PATH}/ {{ {} proxy_pass http://backend/; }}
    location = /check {{
      internal; proxy_pass http://backend/check; proxy_pass_request_body off;
      proxy_set_header Content-Length \"\";
    }}
  }}
",
        nginx.directives()
    )
}
