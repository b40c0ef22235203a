//! Result of a navigation.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use super::html::Form;
use crate::ClientError;

/// End of a navigation.
#[derive(Debug, Clone)]
pub enum Landing {
    /// Page with any status.
    Page(Page),
    /// URL that the browser does not open: a client's callback or a private scheme.
    Stopped {
        /// URL with its query.
        url: Url,
        /// Redirects before it.
        trail: Vec<Hop>,
    },
}

/// Response that redirected the browser.
#[derive(Debug, Clone)]
pub struct Hop {
    /// Requested URL.
    pub url: Url,
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
}

/// Response that the browser shows.
#[derive(Debug, Clone)]
pub struct Page {
    /// URL.
    pub url: Url,
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; invalid UTF-8 is replaced.
    pub body: String,
    /// Forms, if it is HTML.
    pub forms: Vec<Form>,
    /// Redirects before it.
    pub trail: Vec<Hop>,
}

impl Landing {
    /// Returns the page; fails if the browser was stopped.
    pub fn page(self) -> Result<Page, ClientError> {
        match self {
            Self::Page(page) => Ok(page),
            Self::Stopped { url, .. } => Err(ClientError::new(format!("expected a page, was sent to {url}"))),
        }
    }

    /// Returns the URL at which the browser stopped; fails if it shows a page.
    pub fn stopped(self) -> Result<Url, ClientError> {
        match self {
            Self::Stopped { url, .. } => Ok(url),
            Self::Page(page) => Err(ClientError::new(format!(
                "expected to be sent away, but {} shows ({}): {}",
                page.url, page.status, page.body
            ))),
        }
    }
}

impl Page {
    /// First form with a field of this name.
    pub fn form_with(&self, field: &str) -> Option<&Form> {
        self.forms.iter().find(|form| form.has(field))
    }

    /// First form with a button of this name, value or text.
    pub fn form_with_button(&self, button: &str) -> Option<&Form> {
        self.forms.iter().find(|form| form.button(Some(button)).is_ok())
    }
}
