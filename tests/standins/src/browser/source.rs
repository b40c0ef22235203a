//! What a form takes along from the page it was on.

use reqwest::header::HeaderMap;
use url::Url;

use super::csp::FormAction;

/// The page of a form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) page: Option<Url>,
    /// The `Origin` of a POST from there.
    pub(super) origin_header: String,
    /// What the page's policy lets its forms reach.
    pub(super) form_action: FormAction,
}

impl Source {
    pub(super) fn of(url: &Url, headers: &HeaderMap) -> Self {
        Self {
            page: Some(url.clone()),
            origin_header: origin_header(url, headers),
            form_action: FormAction::of(url, headers),
        }
    }
}

/// A page that forbids referrers posts as `null`, even to itself (Fetch, "append a request `Origin` header").
fn origin_header(url: &Url, headers: &HeaderMap) -> String {
    let policies = headers.get_all("referrer-policy").iter().filter_map(|value| value.to_str().ok());
    let last = policies.flat_map(|value| value.split(',')).map(str::trim).next_back();
    if last == Some("no-referrer") { "null".to_owned() } else { url.origin().ascii_serialization() }
}
