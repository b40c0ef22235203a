//! Scripted browser: redirects, cookies, forms, and rules of real browsers that can break logins (`SameSite`,
//! `form-action` over a whole redirect chain, `Origin: null`). It runs no JavaScript.

mod cookies;
mod csp;
mod html;
mod page;
mod source;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::{Origin, Url, form_urlencoded};

pub use html::{Button, Field, Form};
pub use page::{Hop, Landing, Page};

use crate::net::{http_client, read_body};
use crate::okta::PASSWORD;
use crate::{ClientError, Time};
use cookies::{Jar, Navigation};
use csp::FormAction;
use source::Source;

const MAX_REDIRECTS: usize = 20;

/// Browser profile with its own cookies.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    jar: Jar,
    stops: Vec<String>,
    accept: &'static str,
}

/// Request to be sent.
struct Request {
    method: Method,
    url: Url,
    form: Option<String>,
    /// Origin of the page that caused the request; `None` when the user entered the URL.
    initiator: Option<Origin>,
    /// Value of `Origin` by the rules of that page.
    origin_header: Option<String>,
    /// `form-action` of that page.
    form_action: FormAction,
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser {
    /// Creates an empty profile.
    pub fn new() -> Self {
        Self::with_time(Time::default())
    }

    /// Creates an empty profile whose cookies expire by `time`.
    pub fn with_time(time: Time) -> Self {
        let accept = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
        Self { http: http_client(), jar: Jar::new(time), stops: Vec::new(), accept }
    }

    /// Creates an empty profile with this HTTP client, which must not follow redirects.
    pub fn with_http_client(http: reqwest::Client) -> Self {
        Self { http, ..Self::new() }
    }

    /// Stops before a URL that starts with `prefix`, such as a client's loopback callback. Schemes other than http
    /// and https always stop, because a real browser passes them to another program.
    pub fn stop_at(&mut self, prefix: &str) {
        self.stops.push(prefix.to_owned());
    }

    /// Opens `url` as if the user entered it, and follows redirects and refreshes.
    pub async fn open(&mut self, url: &str) -> Result<Landing, ClientError> {
        self.navigate(Request::typed(Url::parse(url)?)).await
    }

    /// Submits a form. `overrides` replace or add fields; `button` is the name, value or text of a button, by default
    /// the first one.
    pub async fn submit(
        &mut self,
        form: &Form,
        overrides: &[(&str, &str)],
        button: Option<&str>,
    ) -> Result<Landing, ClientError> {
        let button = form.button(button)?;
        let data = form.data(overrides, button);
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(data).finish();
        let mut url = form.target(button)?;
        let post = form.method == "post";
        if !post {
            url.set_query(Some(&encoded));
        }
        let request = Request {
            method: if post { Method::POST } else { Method::GET },
            url,
            form: post.then_some(encoded),
            initiator: form.source.page.as_ref().map(Url::origin),
            origin_header: post.then(|| form.source.origin_header.clone()),
            form_action: form.source.form_action.clone(),
        };
        self.navigate(request).await
    }

    /// Submits the stand-in Okta's login form on `page`.
    pub async fn sign_in(&mut self, page: &Page, username: &str) -> Result<Landing, ClientError> {
        let form = page.form_with("password");
        let form =
            form.ok_or_else(|| ClientError::new(format!("no login form at {}: {}", page.url, page.body)))?;
        self.submit(form, &[("username", username), ("password", PASSWORD)], None).await
    }

    /// Names and values of the cookies of a same-site request to `url`.
    pub fn cookies(&self, url: &str) -> Result<Vec<(String, String)>, ClientError> {
        let url = Url::parse(url)?;
        Ok(self.jar.matching(&url, Navigation { same_site: true, safe: true }))
    }

    /// Removes all cookies.
    pub fn clear_cookies(&mut self) {
        self.jar.clear();
    }

    async fn navigate(&mut self, mut request: Request) -> Result<Landing, ClientError> {
        let mut trail = Vec::new();
        loop {
            request.form_action.allow(&request.url)?;
            if self.stops_before(&request.url) {
                return Ok(Landing::Stopped { url: request.url, trail });
            }
            if trail.len() == MAX_REDIRECTS {
                return Err(ClientError::new(format!(
                    "more than {MAX_REDIRECTS} redirects, the last to {}",
                    request.url
                )));
            }
            let hop = self.fetch(&request).await?;
            let next = hop.next(&request)?;
            if let Some(next) = next {
                trail.push(hop.into_hop());
                request = next;
            } else {
                return Ok(Landing::Page(hop.into_page(trail)));
            }
        }
    }

    fn stops_before(&self, url: &Url) -> bool {
        !matches!(url.scheme(), "http" | "https")
            || self.stops.iter().any(|stop| url.as_str().starts_with(stop))
    }

    async fn fetch(&mut self, request: &Request) -> Result<Fetched, ClientError> {
        let mut builder =
            self.http.request(request.method.clone(), request.url.clone()).headers(self.headers(request)?);
        if let Some(form) = &request.form {
            builder =
                builder.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
        }
        let response = builder.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.jar.store(&request.url, &headers);
        let body = String::from_utf8_lossy(&read_body(response).await?).into_owned();
        Ok(Fetched { url: request.url.clone(), status, headers, body })
    }

    fn headers(&self, request: &Request) -> Result<HeaderMap, ClientError> {
        let value =
            |text: &str| HeaderValue::from_str(text).map_err(|error| ClientError::new(error.to_string()));
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value(self.accept)?);
        headers.insert(header::USER_AGENT, value("Mozilla/5.0 (scripted)")?);
        headers.insert("sec-fetch-mode", value("navigate")?);
        headers.insert("sec-fetch-dest", value("document")?);
        headers.insert("sec-fetch-site", value(request.site())?);
        if let Some(origin) = &request.origin_header {
            headers.insert(header::ORIGIN, value(origin)?);
        }
        let cookies = self.jar.matching(&request.url, request.navigation());
        if !cookies.is_empty() {
            let pairs: Vec<String> = cookies.iter().map(|(name, text)| format!("{name}={text}")).collect();
            headers.insert(header::COOKIE, value(&pairs.join("; "))?);
        }
        Ok(headers)
    }
}

/// Response that is a page or a redirect.
struct Fetched {
    url: Url,
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Fetched {
    /// Returns the request of a redirect, if the response is one.
    fn next(&self, request: &Request) -> Result<Option<Request>, ClientError> {
        if let Some(location) = self.headers.get(header::LOCATION).filter(|_| self.status.is_redirection()) {
            let location = location.to_str().map_err(|_| ClientError::new("a Location that is not ASCII"))?;
            return Ok(Some(request.redirected(self.url.join(location)?, self.status)));
        }
        let refresh = html::refresh(&self.body).filter(|_| self.is_html());
        let Some(target) = refresh else { return Ok(None) };
        Ok(Some(Request::followed(self.url.join(&target)?, self.url.origin())))
    }

    fn is_html(&self) -> bool {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        kind.is_some_and(|kind| kind.starts_with("text/html"))
    }

    fn into_hop(self) -> Hop {
        Hop { url: self.url, status: self.status, headers: self.headers }
    }

    fn into_page(self, trail: Vec<Hop>) -> Page {
        let source = Source::of(&self.url, &self.headers);
        let forms = if self.is_html() { html::forms(&self.body, &source) } else { Vec::new() };
        Page { url: self.url, status: self.status, headers: self.headers, body: self.body, forms, trail }
    }
}

impl Request {
    fn typed(url: Url) -> Self {
        let form_action = FormAction::allow_all();
        Self { method: Method::GET, url, form: None, initiator: None, origin_header: None, form_action }
    }

    fn followed(url: Url, from: Origin) -> Self {
        Self { initiator: Some(from), ..Self::typed(url) }
    }

    /// RFC 9110 §15.4: only 307 and 308 keep the method and the form.
    fn redirected(&self, url: Url, status: StatusCode) -> Self {
        let keeps = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        // After a redirect to another origin, `Origin` is `null` (Fetch standard).
        let left = url.origin() != self.url.origin();
        let origin = |origin: &String| if left { "null".to_owned() } else { origin.clone() };
        Self {
            method: if keeps { self.method.clone() } else { Method::GET },
            form: self.form.clone().filter(|_| keeps),
            initiator: self.initiator.clone(),
            origin_header: self.origin_header.as_ref().filter(|_| keeps).map(origin),
            form_action: self.form_action.clone(),
            url,
        }
    }

    fn navigation(&self) -> Navigation {
        let same_site =
            self.initiator.as_ref().is_none_or(|from| cookies::same_site(from, &self.url.origin()));
        Navigation { same_site, safe: self.method == Method::GET }
    }

    fn site(&self) -> &'static str {
        match &self.initiator {
            None => "none",
            Some(from) if *from == self.url.origin() => "same-origin",
            Some(_) if self.navigation().same_site => "same-site",
            Some(_) => "cross-site",
        }
    }
}
