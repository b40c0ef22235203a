//! Properties of a page that affect its forms.

use reqwest::header::HeaderMap;
use url::Url;

use super::csp::FormAction;

/// Page of a form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) page: Option<Url>,
    /// `Origin` of its POST requests.
    pub(super) origin_header: String,
    /// `form-action` of its policies.
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

/// A page with `no-referrer` posts `Origin: null`, even to itself (Fetch, "append a request `Origin` header").
fn origin_header(url: &Url, headers: &HeaderMap) -> String {
    let policies = headers.get_all("referrer-policy").iter().filter_map(|value| value.to_str().ok());
    let last = policies.flat_map(|value| value.split(',')).map(str::trim).next_back();
    if last == Some("no-referrer") { "null".to_owned() } else { url.origin().ascii_serialization() }
}
