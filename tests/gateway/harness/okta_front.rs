//! TLS in front of the stand-in Okta, which then has an https origin.

use super::tls_front::accept;
use gateway_standins::browser::Browser;
use gateway_standins::okta::{Okta, OktaOptions};
use gateway_standins::redis::Certificates;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server that terminates TLS for one Okta, for as long as this lives.
pub(crate) struct OktaFront {
    name: String,
    address: SocketAddr,
    certificates: Certificates,
    listener: Option<TcpListener>,
    task: Option<JoinHandle<()>>,
}

impl OktaFront {
    /// Binds a port of 127.0.0.1, with a certificate for `name`, which is a host name or that address.
    pub(crate) async fn bind(name: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self {
            name: name.to_owned(),
            address: listener.local_addr().unwrap(),
            certificates: Certificates::make_for(name).unwrap(),
            listener: Some(listener),
            task: None,
        }
    }

    /// Options of an Okta with this origin.
    pub(crate) fn options(&self) -> OktaOptions {
        OktaOptions { origin: Some(self.origin()), ..OktaOptions::default() }
    }

    /// Serves this Okta from now on.
    pub(crate) fn serve(&mut self, okta: &Okta) {
        let (listener, port) = (self.listener.take().unwrap(), okta.address().port());
        self.task = Some(tokio::spawn(accept(listener, self.certificates.acceptor(), port)));
    }

    /// Origin of Okta.
    pub(crate) fn origin(&self) -> String {
        format!("https://{}:{}", self.name, self.address.port())
    }

    /// The PEM file of the certificate authority.
    pub(crate) fn ca_file(&self) -> String {
        self.certificates.path("ca.pem")
    }

    /// Browser that resolves the name and trusts the authority.
    pub(crate) fn browser(&self) -> Browser {
        let pem = std::fs::read(self.ca_file()).unwrap();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
            .resolve(&self.name, self.address);
        Browser::with_http_client(http.build().unwrap())
    }
}

impl Drop for OktaFront {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
