//! Sites of tests, made of the same constants that the route compiler writes.

use gateway_routes::{
    AuthorizationServer, ClientMetadata, EgressProxySite, Identity, Limits, OktaSite, RefreshReuse,
    Registration, Route, Shutdown, Site, Table, Target, Tokens,
};
use std::time::Duration;
use url::Url;

/// Value of the variable `BACKEND_TOKEN`, for `upstream_headers`.
pub(crate) const BACKEND_TOKEN: &str = "ntn-hunter2";

/// Builder of a site.
pub(crate) struct SiteBuilder {
    pub(crate) site: Site,
    routes: Vec<Route>,
}

impl SiteBuilder {
    pub(crate) fn new() -> Self {
        let site = Site {
            environment: "test",
            base_url: None,
            port: None,
            okta: OktaSite {
                url: None,
                authorization_server: AuthorizationServer::Org,
                client_id: None,
                redirect_uri: None,
                groups_claim: "groups",
                trust_email: false,
                ca_file: None,
            },
            tokens: Tokens {
                access_ttl: Duration::from_mins(10),
                refresh_ttl: Duration::from_hours(720),
                code_ttl: Duration::from_mins(1),
            },
            allowed_origins: &["https://app.example.com"],
            redirect_schemes: &[],
            trusted_redirect_hosts: &["claude.ai"],
            client_metadata: ClientMetadata::DEFAULT,
            advertise_iss: true,
            refresh_reuse: RefreshReuse::Revoke,
            okta_grace: Duration::from_hours(1),
            // The shortest period, so that each minute has a check of its own.
            okta_recheck: Duration::from_mins(1),
            registration: Registration::DEFAULT,
            trusted_proxies: &[],
            egress_proxy: EgressProxySite::DEFAULT,
            limits: Limits::DEFAULT,
            // Tests restart gateways often, and no load balancer has to notice it.
            shutdown: Shutdown { delay: Duration::ZERO, ..Shutdown::DEFAULT },
            table: Table::new(&[], &[u16::MAX]),
            digest: "0",
        };
        Self { site, routes: Vec::new() }
    }

    /// Adds a route, or replaces the one with this pattern.
    pub(crate) fn route(
        mut self,
        pattern: &'static str,
        target_url: &str,
        change: impl FnOnce(Route) -> Route,
    ) -> Self {
        self.routes.retain(|other| other.pattern != pattern);
        self.routes.push(route(pattern, target_url, change));
        self
    }

    /// Changes one route.
    pub(crate) fn change(mut self, pattern: &str, change: impl FnOnce(Route) -> Route) -> Self {
        let route = self.routes.iter_mut().find(|route| route.pattern == pattern).unwrap();
        *route = change(*route);
        self
    }

    /// Changes the site itself.
    pub(crate) fn set(mut self, change: impl FnOnce(&mut Site)) -> Self {
        change(&mut self.site);
        self
    }

    /// The memory is leaked until the tests end.
    pub(crate) fn leak(mut self) -> &'static Site {
        self.site.table = table(self.routes);
        Box::leak(Box::new(self.site))
    }

    /// Removes the route with this pattern.
    pub(crate) fn without(mut self, pattern: &str) -> Self {
        self.routes.retain(|route| route.pattern != pattern);
        self
    }
}

/// Route with the defaults of the tests.
pub(super) fn route(pattern: &'static str, target_url: &str, change: impl FnOnce(Route) -> Route) -> Route {
    let url = Url::parse(target_url).unwrap();
    let segment = pattern.trim_matches('/').rsplit('/').next().unwrap();
    change(Route {
        pattern,
        target: Target {
            tls: url.scheme() == "https",
            host: leak(url.host_str().unwrap()),
            port: url.port_or_known_default().unwrap(),
            authority: leak(url.authority()),
            path: leak(url.path().trim_end_matches('/')),
            trailing_slash: target_url.ends_with('/'),
        },
        ca_file: None,
        name: segment,
        description: "",
        scopes: vec![leak(&format!("mcp:{segment}"))].leak(),
        groups: &[],
        identity: Identity::Headers,
        upstream_headers: &[],
        max_body: 4 * 1024 * 1024,
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_mins(1),
        response_idle_timeout: Duration::from_mins(1),
    })
}

/// Table of these routes. The memory is leaked until the tests end.
pub(super) fn table(routes: Vec<Route>) -> Table {
    let routes: &'static [Route] = routes.leak();
    let slots = match routes.len() {
        1 => Vec::from(Table::slots::<{ Table::size(1) }>(routes)),
        2..=3 => Vec::from(Table::slots::<{ Table::size(3) }>(routes)),
        4..=7 => Vec::from(Table::slots::<{ Table::size(7) }>(routes)),
        8..=15 => Vec::from(Table::slots::<{ Table::size(15) }>(routes)),
        16..=31 => Vec::from(Table::slots::<{ Table::size(31) }>(routes)),
        more => panic!("{more} routes: add a size here"),
    };
    Table::new(routes, slots.leak())
}

fn leak(text: &str) -> &'static str {
    text.to_owned().leak()
}
