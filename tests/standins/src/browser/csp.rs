//! `form-action` of a Content-Security-Policy as in Chromium: it applies to the whole redirect chain.

use reqwest::header::HeaderMap;
use url::Url;

use crate::ClientError;

/// Allowed targets of a page's forms: the page's URL, and one source list per policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FormAction {
    page: Option<Url>,
    policies: Vec<Vec<String>>,
}

impl FormAction {
    /// No policy.
    pub(super) fn allow_all() -> Self {
        Self::default()
    }

    /// Reads the policies of the page at `url`.
    pub(super) fn of(url: &Url, headers: &HeaderMap) -> Self {
        let headers = headers.get_all("content-security-policy").iter();
        let policies = headers.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        Self { page: Some(url.clone()), policies: policies.filter_map(form_action).collect() }
    }

    /// Fails if a policy forbids a form to reach `url`.
    pub(super) fn allow(&self, url: &Url) -> Result<(), ClientError> {
        let allowed = |sources: &Vec<String>| sources.iter().any(|source| self.matches(source, url));
        match self.policies.iter().find(|sources| !allowed(sources)) {
            None => Ok(()),
            Some(sources) => {
                let sources = sources.join(" ");
                Err(ClientError::new(format!("Content-Security-Policy form-action {sources} blocks {url}")))
            }
        }
    }

    fn matches(&self, source: &str, url: &Url) -> bool {
        match source {
            "'self'" => self.page.as_ref().is_some_and(|page| page.origin() == url.origin()),
            "*" => matches!(url.scheme(), "http" | "https"),
            _ => match source.strip_suffix(':') {
                Some(scheme) => url.scheme() == scheme,
                None => Url::parse(source).is_ok_and(|allowed| allowed.origin() == url.origin()),
            },
        }
    }
}

fn form_action(policy: &str) -> Option<Vec<String>> {
    let directives = policy.split(';').map(str::split_whitespace);
    directives
        .filter_map(|mut words| Some((words.next()?, words)))
        .find(|(name, _)| name.eq_ignore_ascii_case("form-action"))
        .map(|(_, sources)| sources.map(str::to_owned).collect())
}
