//! The application state, shared by all requests.

use crate::app::control_work::ControlWork;
use crate::app::failure_log::FailureLog;
use crate::app::rate_limit::{Forgeries, Limits};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::secret::Secret;
use crate::credential::Credentials;
use crate::crypto::jose::KeySet;
use crate::crypto::seal::Keys;
use crate::fetch::{Documents, FetchError, FetchPolicy, Fetcher};
use crate::grants::Grants;
use crate::oauth::client::Client;
use crate::oauth::client::keys;
use crate::oauth::client::metadata_document::{self, InvalidCompiledDocument};
use crate::oauth::redirect::Destination;
use crate::okta::{Issuer, Okta, OktaConfig, OktaError};
use crate::proxy::UpstreamTls;
use crate::settings::{BaseUrl, Settings};
use crate::store::{Formats, Store};
use gateway_routes::Site;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use thiserror::Error;
use tokio::runtime::Handle;

/// Maximum time that a client's cached keys are used after they expired, while its `jwks_uri` is unreachable. It
/// bounds how long a compromised key that the client has removed is still accepted.
const MAX_STALE_KEYS: Duration = Duration::from_hours(24);

/// External dependencies of a gateway, injected so that tests are deterministic.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    /// The clock.
    pub clock: Clock,
    /// The random number generator.
    pub entropy: Entropy,
    /// The formats of stored records; a test may use those of another release.
    pub formats: Formats,
    /// The addresses that client-supplied URLs may be fetched from.
    pub fetch: FetchPolicy,
}

/// The gateway, shared by all its threads.
pub struct Gateway {
    /// The compiled configuration.
    pub site: &'static Site,
    /// The gateway's own origin and OAuth issuer.
    pub base_url: BaseUrl,
    /// Issues and verifies tokens, codes and client ids.
    pub credentials: Credentials,
    /// Grants, authorization codes and pending logins.
    pub grants: Grants,
    /// Rate limits of access tokens with an invalid signature.
    pub forgeries: Forgeries,
    /// Rate limits of the OAuth endpoints.
    pub limits: Limits,
    /// Log of failed requests.
    pub failure_log: FailureLog,
    okta_host: Option<String>,
    /// Cache of client metadata documents, by `client_id`.
    pub client_documents: Documents<Client>,
    /// Cache of client key sets, by `jwks_uri`.
    pub client_key_sets: Documents<KeySet>,
    /// The OIDC client of Okta.
    pub okta: Okta,
    /// TLS configuration of upstream connections.
    pub upstream_tls: UpstreamTls,
    /// Serialized `upstream_headers` of routes, by pattern.
    pub upstream_headers: Arc<BTreeMap<&'static str, Secret>>,
    /// The store, for health checks and its clock only; records are accessed through `grants`.
    pub store: Arc<Store>,
    /// The clock.
    pub clock: Clock,
    /// The random number generator.
    pub entropy: Entropy,
    /// The runtime of store and Okta requests, so that none of them blocks a proxy thread.
    control: Handle,
    control_work: ControlWork,
    ready: AtomicBool,
    draining: AtomicBool,
}

/// Error of creating a gateway.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// The HTTP client for client documents cannot be built.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A compiled client metadata document is invalid.
    #[error(transparent)]
    ClientDocument(#[from] InvalidCompiledDocument),
    /// The HTTP client for Okta cannot be built.
    #[error(transparent)]
    Okta(#[from] OktaError),
}

impl Gateway {
    /// Creates a gateway. No connection is opened yet: Okta and the store may become available later.
    ///
    /// # Errors
    /// An HTTP client cannot be built; a compiled client metadata document is invalid.
    pub fn new(
        site: &'static Site,
        settings: &Settings,
        store: Store,
        keys: &Keys,
        control: Handle,
        dependencies: Dependencies,
    ) -> Result<Arc<Self>, GatewayError> {
        let Dependencies { clock, entropy, fetch, .. } = dependencies;
        let (authorities, proxy) = (&settings.authorities, settings.egress_proxy.as_ref());
        let fetcher = Arc::new(Fetcher::new(fetch, authorities.public.clone(), proxy, clock.clone())?);
        let okta = OktaConfig {
            issuer: Issuer::of(&settings.okta.url, settings.okta.authorization_server),
            client_id: settings.okta.client_id.clone(),
            client_secret: settings.okta.client_secret.clone(),
            redirect_uri: settings.okta.redirect_uri.clone(),
            groups_claim: site.okta.groups_claim.to_owned(),
            named_groups: site.table.routes().iter().flat_map(|route| route.groups).copied().collect(),
            trust_email: site.okta.trust_email,
            authorities: authorities.okta.clone(),
            egress_proxy: settings.egress_proxy.clone(),
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
            failure_log: FailureLog::new(site.table.routes(), clock.clone()),
            client_documents: client_documents(site, Arc::clone(&fetcher), clock.clone())?,
            client_key_sets: Documents::new(
                fetcher,
                keys::MAX_KEY_SET_BYTES,
                Some(MAX_STALE_KEYS),
                clock.clone(),
            ),
            okta: Okta::new(okta, clock.clone(), entropy.clone())?,
            upstream_tls: UpstreamTls::new(&settings.upstream_authorities),
            upstream_headers: Arc::new(settings.upstream_headers.clone()),
            store,
            clock,
            entropy,
            control,
            control_work: ControlWork::default(),
            ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }))
    }

    /// Runs a future on the control runtime, also when the caller no longer waits for it. A shutdown waits until it has
    /// completed. Returns `None` when it panicked or the runtime is shutting down.
    pub async fn on_control<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.control.spawn(self.control_work.track(work)).await.ok()
    }

    /// Waits until no future is running on the control runtime, for example a revalidation whose client has left.
    pub async fn control_work_done(&self) {
        self.control_work.done().await;
    }

    /// Returns `true` if this is the host of Okta or of an MCP server. Such a host may trust the gateway's IP
    /// address, so documents at client-supplied URLs are never fetched from it (server-side request forgery).
    pub fn is_backend_host(&self, host: &str) -> bool {
        let is = |known: &str| known.trim_end_matches('.').eq_ignore_ascii_case(host);
        self.okta_host.as_deref().is_some_and(is)
            || self.site.table.routes().iter().any(|route| is(route.target.host))
    }

    /// Returns `true` if an error may be redirected there automatically (RFC 9700 §4.11.2). A private scheme is never
    /// trusted, because any program can register it.
    pub fn may_redirect_errors_to(&self, destination: &Destination) -> bool {
        match destination {
            Destination::Loopback(_) => true,
            Destination::Web(host) => self.site.trusted_redirect_hosts.contains(&host.as_str()),
            Destination::PrivateScheme(_) => false,
        }
    }

    /// Returns the `iss` parameter of authorization responses (RFC 9207), unless the site disables it.
    pub fn iss(&self) -> Option<&str> {
        self.site.advertise_iss.then(|| self.base_url.as_str())
    }

    /// Returns `true` from the first successful store request until the gateway drains.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && !self.draining.load(Ordering::Relaxed)
    }

    /// Marks the gateway ready.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Returns `true` once the gateway drains.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Marks the gateway as draining: it is no longer ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

/// Creates the cache of client metadata documents, with those that are compiled in.
fn client_documents(
    site: &Site,
    fetcher: Arc<Fetcher>,
    clock: Clock,
) -> Result<Documents<Client>, InvalidCompiledDocument> {
    let compiled = site.client_metadata.documents;
    let compiled = metadata_document::parse_compiled(compiled, site.redirect_schemes, clock.now())?;
    let documents = Documents::new(fetcher, metadata_document::MAX_DOCUMENT_BYTES, None, clock);
    Ok(documents.with_compiled(compiled))
}
