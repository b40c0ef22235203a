//! Where a navigation ended.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use super::html::Form;
use crate::ClientError;

/// The end of a navigation.
#[derive(Debug, Clone)]
pub enum Landing {
    /// A page to look at, whatever its status.
    Page(Page),
    /// A URL that the browser does not open: a client's callback or a private scheme.
    Stopped {
        /// The URL, with its query.
        url: Url,
        /// The answers on the way there.
        trail: Vec<Hop>,
    },
}

/// An answer that sent the browser on.
#[derive(Debug, Clone)]
pub struct Hop {
    /// What was asked.
    pub url: Url,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
}

/// An answer that the browser shows.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its address.
    pub url: Url,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; bytes that are not UTF-8 are replaced.
    pub body: String,
    /// Its forms, if it is HTML.
    pub forms: Vec<Form>,
    /// The answers on the way there.
    pub trail: Vec<Hop>,
}

impl Landing {
    /// The page; trouble if the browser was stopped.
    pub fn page(self) -> Result<Page, ClientError> {
        match self {
            Self::Page(page) => Ok(page),
            Self::Stopped { url, .. } => Err(ClientError::new(format!("expected a page, was sent to {url}"))),
        }
    }

    /// The URL at which the browser stopped; trouble if it shows a page.
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
    /// The first form that has a field of this name.
    pub fn form_with(&self, field: &str) -> Option<&Form> {
        self.forms.iter().find(|form| form.has(field))
    }

    /// The first form with a button of this name, value or text.
    pub fn form_with_button(&self, button: &str) -> Option<&Form> {
        self.forms.iter().find(|form| form.button(Some(button)).is_ok())
    }
}
