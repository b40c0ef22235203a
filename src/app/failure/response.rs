//! Responses to failed requests: JSON for clients, redirects to clients, pages for users.

use super::{Failure, RestartReason};
use crate::app::rate_limit::{Kind, TooMany};
use crate::app::reply;
use crate::app::request::Request;
use crate::app::request_error::OUTAGE_RETRY_AFTER;
use crate::oauth::authorization::ReturnAddress;
use crate::oauth::error::OAuthError;
use crate::oauth::redirect::Destination;
use crate::pages::{ErrorRedirect, Guidance, Outcome, Problem, RedirectPage};
use bytes::Bytes;
use http::header::{ACCEPT, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;

const NOT_ACCEPTED: ProblemText = ProblemText {
    title: "This request was not accepted",
    what_happened: "What your browser sent is not what this page takes.",
    what_to_do: Guidance::StartAgain,
};
const NOT_HANDLED: ProblemText = ProblemText {
    title: "This did not work",
    what_happened: "The gateway could not handle the request of your browser.",
    what_to_do: Guidance::StartAgain,
};

/// A failure that was written to the logs, and its request.
#[must_use]
pub struct Reported<'a> {
    pub(super) request: Request<'a>,
    pub(super) kind: Kind,
    pub(super) failure: Failure,
}

/// Text of an error page.
#[derive(Debug, Clone, Copy)]
pub struct ProblemText {
    /// Heading.
    pub title: &'static str,
    /// Explanation, one or two sentences.
    pub what_happened: &'static str,
    /// Instructions.
    pub what_to_do: Guidance<'static>,
}

impl Reported<'_> {
    /// Returns the JSON error response of an OAuth endpoint (RFC 6749 §5.2, RFC 7591 §3.2.2).
    pub fn json(&self) -> Response<Bytes> {
        let error = self.failure.oauth_error();
        let body = json!({ "error": error.code.as_str(), "error_description": error.description });
        let status = self.failure.status();
        let mut response = self.with_retry_after(reply::json(status, &body));
        if status == StatusCode::UNAUTHORIZED {
            reply::set(&mut response, WWW_AUTHENTICATE, "Basic realm=\"mcp-gateway\"");
        }
        response
    }

    /// Returns 429 (RFC 6585 §4): a page for a browser, JSON for other clients.
    pub fn too_many(&self) -> Response<Bytes> {
        let what_to_do = match self.kind {
            Kind::Consent => Guidance::StartAgain,
            _ => Guidance::Text("Wait a minute, then reload this page."),
        };
        self.page_or_json(&ProblemText {
            title: "Please wait a moment",
            what_happened: "There were too many requests from your network in the last minute.",
            what_to_do,
        })
    }

    /// Responds to a request that has not been handled: a page for a browser, JSON for other clients.
    pub fn page_for_unhandled(&self) -> Response<Bytes> {
        match &self.failure {
            Failure::TooMany(_) => self.too_many(),
            failure if failure.status().is_server_error() => self.page_or_json(&NOT_HANDLED),
            _ => self.page_or_json(&NOT_ACCEPTED),
        }
    }

    /// Responds with an error that must not be redirected: a page for a browser, JSON for a client that probes the
    /// URL. An error of the client is always 400, because `FastMCP` treats any other status except a redirect as a
    /// server failure. There are no CORS headers (OAuth 2.1 §3.1).
    pub fn page_or_json(&self, text: &ProblemText) -> Response<Bytes> {
        let status = match &self.failure {
            Failure::OAuth(_) | Failure::ClientDocument { .. } => StatusCode::BAD_REQUEST,
            failure => failure.status(),
        };
        if !self.wants_page() {
            let mut response = self.json();
            *response.status_mut() = status;
            return response;
        }
        let detail = match &self.failure {
            Failure::TooMany(_) => String::new(),
            failure => failure.oauth_error().to_string(),
        };
        let ProblemText { title, what_happened, what_to_do } = *text;
        self.problem(status, &Problem { title, what_happened, what_to_do, detail: &detail, request_id: "" })
    }

    /// Returns a page that explains the failure and asks the user to start the login again.
    pub fn restart_page(&self) -> Response<Bytes> {
        let (what_happened, what_to_do) = match &self.failure {
            Failure::Restart(reason @ RestartReason::NoCookies) => {
                (reason.to_string(), Guidance::AllowCookies)
            }
            Failure::Restart(reason) => (reason.to_string(), Guidance::StartAgain),
            _ => ("The gateway cannot read its logins now.".to_owned(), Guidance::StartAgain),
        };
        let page = Problem {
            title: "Please start again",
            what_happened: &what_happened,
            what_to_do,
            detail: "",
            request_id: "",
        };
        self.problem(self.failure.status(), &page)
    }

    /// Sends the error to the client in response to a GET request: by a redirect where the destination is trusted,
    /// else by a page on which the user continues.
    pub fn redirect(&self, to: &ReturnAddress) -> Response<Bytes> {
        let error = self.failure.oauth_error();
        self.redirect_or(to, &error, |url, destination| {
            self.redirect_page(url, destination, self.failed(&error))
        })
    }

    /// Sends the error to the client before the user has consented: by a redirect where the destination is trusted,
    /// else by a page that names the host first, so that the gateway is no open redirector (RFC 9700 §4.11).
    pub fn redirect_before_consent(&self, to: &ReturnAddress) -> Response<Bytes> {
        let error = self.failure.oauth_error();
        self.redirect_or(to, &error, |url, destination| {
            let page = ErrorRedirect {
                host: destination.label(),
                error: error.code.as_str(),
                description: &error.description,
                to: url,
            };
            reply::html(StatusCode::BAD_REQUEST, page.page())
        })
    }

    /// Sends the error to the client in response to a form, always by a page: Chromium applies the page's `form-action`
    /// to the whole redirect chain.
    pub fn page_after_form(&self, to: &ReturnAddress) -> Response<Bytes> {
        let error = self.failure.oauth_error();
        self.redirect_page(&self.error_url(to, &error), &to.redirect_uri.destination(), self.failed(&error))
    }

    /// Sends the user's denial to the client, by a page.
    pub fn denial_page(&self, to: &ReturnAddress) -> Response<Bytes> {
        let url = self.error_url(to, &self.failure.oauth_error());
        self.redirect_page(&url, &to.redirect_uri.destination(), Outcome::Denied)
    }

    fn redirect_or(
        &self,
        to: &ReturnAddress,
        error: &OAuthError,
        page: impl FnOnce(&str, &Destination) -> Response<Bytes>,
    ) -> Response<Bytes> {
        let url = self.error_url(to, error);
        let destination = to.redirect_uri.destination();
        if self.request.gateway.may_redirect_errors_to(&destination) {
            return reply::redirect(&url);
        }
        page(&url, &destination)
    }

    fn error_url(&self, to: &ReturnAddress, error: &OAuthError) -> String {
        to.error_url(error, self.request.gateway.iss())
    }

    /// Returns a page that leads to the client: automatically to a trusted destination, else when the user continues.
    fn redirect_page(&self, url: &str, destination: &Destination, outcome: Outcome<'_>) -> Response<Bytes> {
        let is_automatic = self.request.gateway.may_redirect_errors_to(destination);
        let page = RedirectPage { to: url, destination: destination.label(), outcome, is_automatic };
        reply::html(StatusCode::OK, page.page())
    }

    fn failed<'e>(&'e self, error: &'e OAuthError) -> Outcome<'e> {
        Outcome::Failed { why: &error.description, request_id: self.request.id() }
    }

    fn problem(&self, status: StatusCode, page: &Problem<'_>) -> Response<Bytes> {
        let page = Problem { request_id: self.request.id(), ..*page };
        self.with_retry_after(reply::html(status, page.page()))
    }

    fn with_retry_after(&self, mut response: Response<Bytes>) -> Response<Bytes> {
        let delay = match &self.failure {
            Failure::TooMany(TooMany { retry_after }) => Some(*retry_after),
            Failure::Request(error) => error.retry_after(),
            failure => (failure.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(OUTAGE_RETRY_AFTER),
        };
        if let Some(delay) = delay {
            reply::set(&mut response, RETRY_AFTER, &delay.as_secs().to_string());
        }
        response
    }

    /// Returns `true` if the client is a browser: clients that probe an authorization URL do not accept HTML.
    fn wants_page(&self) -> bool {
        let accept = self.request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
        accept.is_some_and(|accept| accept.contains("text/html"))
    }
}
