//! All that a request may need.

use crate::app::rate_limit::{self, Forgeries, Limits, TooMany};
use crate::app::request::RequestHead;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::credential::Credentials;
use crate::crypto::jose::KeySet;
use crate::crypto::seal::Keys;
use crate::fetch::{Documents, FetchPolicy, Fetcher};
use crate::grants::Grants;
use crate::oauth::client::Client;
use crate::oauth::{client_keys, client_metadata};
use crate::okta::{Issuer, Okta, OktaConfig};
use crate::proxy::UpstreamTls;
use crate::settings::{BaseUrl, Settings};
use crate::store::{Formats, Store};
use gateway_routes::Site;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long the keys of a client do after they were fresh, while its server does not answer. A key that a client has
/// taken out because it was stolen counts no longer than that.
const STALE_KEYS: Duration = Duration::from_hours(24);

/// What a gateway takes from the world around it, handed in so that every test is exact.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    /// Tells the time.
    pub clock: Clock,
    /// Gives random bytes.
    pub entropy: Entropy,
    /// The formats of what is stored; a test may be another release.
    pub formats: Formats,
    /// Where documents may be fetched from that strangers name.
    pub fetch: FetchPolicy,
}

/// One gateway, shared by all its threads.
pub struct Gateway {
    /// The compiled configuration.
    pub site: &'static Site,
    /// Our own origin and issuer.
    pub base_url: BaseUrl,
    /// Mints and opens what we hand out.
    pub credentials: Credentials,
    /// Grants, codes and logins under way.
    pub grants: Grants,
    /// How many access tokens with a wrong signature came, and from where.
    pub forgeries: Forgeries,
    limits: Limits,
    okta_host: Option<String>,
    /// What clients publish of themselves, by their `client_id`.
    pub client_documents: Documents<Client>,
    /// The keys of clients, by their `jwks_uri`.
    pub client_key_sets: Documents<KeySet>,
    /// We as Okta's client.
    pub okta: Okta,
    /// How TLS targets are trusted.
    pub upstream_tls: UpstreamTls,
    /// State, as bytes; for its health alone, all else goes through `grants`.
    pub store: Arc<Store>,
    /// Tells the time.
    pub clock: Clock,
    /// Gives random bytes.
    pub entropy: Entropy,
    /// Where calls to the store and to Okta run, so that none of them holds up a proxy thread.
    control: Handle,
    ready: AtomicBool,
    draining: AtomicBool,
}

impl Gateway {
    /// Puts the parts together; nothing is connected to yet, so that Okta and the store may come later.
    ///
    /// # Errors
    /// An HTTP client cannot be built, for want of TLS roots.
    pub fn new(
        site: &'static Site,
        settings: &Settings,
        (store, keys): (Store, &Keys),
        (control, dependencies): (Handle, Dependencies),
    ) -> Result<Arc<Self>, String> {
        let Dependencies { clock, entropy, fetch, .. } = dependencies;
        let fetcher = Arc::new(Fetcher::new(fetch, clock.clone()).map_err(|error| error.to_string())?);
        let okta = OktaConfig {
            issuer: Issuer::of(&settings.okta.url, settings.okta.authorization_server),
            client_id: settings.okta.client_id.clone(),
            client_secret: settings.okta.client_secret.clone(),
            redirect_uri: settings.okta.redirect_uri.clone(),
            groups_claim: site.okta.groups_claim.to_owned(),
            trust_email: site.okta.trust_email,
        };
        let store = Arc::new(store);
        Ok(Arc::new(Self {
            site,
            base_url: settings.base_url.clone(),
            credentials: Credentials::new(
                keys,
                settings.base_url.as_str(),
                site.tokens.access_ttl,
                store.clock().clone(),
                entropy.clone(),
            ),
            grants: Grants::new(Arc::clone(&store), keys, clock.clone(), entropy.clone()),
            okta_host: settings.okta.url.host_str().map(str::to_owned),
            forgeries: Forgeries::new(keys, clock.clone()),
            limits: Limits::new(site.limits, keys, Arc::clone(&store)),
            client_documents: Documents::new(
                Arc::clone(&fetcher),
                client_metadata::MAX_DOCUMENT_BYTES,
                None,
                clock.clone(),
            ),
            client_key_sets: Documents::new(
                fetcher,
                client_keys::MAX_KEY_SET_BYTES,
                Some(STALE_KEYS),
                clock.clone(),
            ),
            okta: Okta::new(okta, clock.clone(), entropy.clone()).map_err(|error| error.to_string())?,
            upstream_tls: UpstreamTls::new(&settings.upstream_authorities),
            store,
            clock,
            entropy,
            control,
            ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }))
    }

    /// Runs a future where the store and Okta live; `None` when it panicked or the gateway is going down.
    pub async fn on_control<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.control.spawn(work).await.ok()
    }

    /// Counts a request of this client, before anything is done for it.
    ///
    /// # Errors
    /// Its client or its address asked too often; the audit log says so.
    pub async fn admit(
        &self,
        kind: rate_limit::Kind,
        head: &RequestHead,
        client_id: Option<&str>,
    ) -> Result<(), TooMany> {
        let counted = self.limits.count(kind, head.address, client_id).await;
        counted.inspect_err(|_| too_many(kind, head))
    }

    /// Whether the address may still ask, before its request's body is read.
    ///
    /// # Errors
    /// It asked too often; the audit log says so.
    pub fn check_rate_limit(&self, kind: rate_limit::Kind, head: &RequestHead) -> Result<(), TooMany> {
        self.limits.check(kind, head.address).inspect_err(|_| too_many(kind, head))
    }

    /// Whether it is Okta or an MCP server that is at this host. Such a host may trust the address that we call it from:
    /// nothing is asked of it because a stranger names it.
    pub fn calls(&self, host: &str) -> bool {
        let is = |known: &str| known.trim_end_matches('.').eq_ignore_ascii_case(host);
        self.okta_host.as_deref().is_some_and(is)
            || self.site.table.routes().iter().any(|route| is(route.target.host))
    }

    /// Our `iss` parameter for authorization responses (RFC 9207), unless the site switched it off.
    pub fn iss(&self) -> Option<&str> {
        self.site.advertise_iss.then(|| self.base_url.as_str())
    }

    /// Whether requests should be sent here: from the first contact with the store on, until it drains.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && !self.draining.load(Ordering::Relaxed)
    }

    /// From now on [`Gateway::is_ready`].
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// From now on no longer [`Gateway::is_ready`].
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

fn too_many(kind: rate_limit::Kind, head: &RequestHead) {
    head.refused(kind.as_str(), "too many requests").record();
}
