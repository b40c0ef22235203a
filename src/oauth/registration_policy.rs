//! What a site lets register itself, and whose registration still counts. Both are asked again at use: a registration
//! may be older than the rules.

use super::client::Client;
use super::error::{ErrorCode, OAuthError};
use super::redirect::{Destination, RedirectUri};
use gateway_routes::Registration;

/// Whether a client that registered itself may have its codes sent there.
///
/// # Errors
/// One sentence that says why not.
pub fn admits(policy: &Registration, uri: &RedirectUri) -> Result<(), &'static str> {
    match uri.destination() {
        Destination::Web(host) if !is_listed(policy.redirect_hosts, &host) => {
            Err("this gateway does not let apps of that host register themselves")
        }
        Destination::Loopback(_) | Destination::PrivateScheme(_) if !policy.local_clients => {
            Err("this gateway does not let programs on people's own computers register themselves")
        }
        _ => Ok(()),
    }
}

/// The same, of all that a client registers.
///
/// # Errors
/// `invalid_redirect_uri`, naming the first that is not admitted.
pub fn admits_all(policy: &Registration, client: &Client) -> Result<(), OAuthError> {
    client.redirect_uris.iter().enumerate().try_for_each(|(place, uri)| {
        let refuse =
            |why| OAuthError::new(ErrorCode::InvalidRedirectUri, format!("redirect_uris[{place}]: {why}"));
        admits(policy, uri).map_err(refuse)
    })
}

/// Whether a registration has been neither denied nor ended by its date.
pub fn is_valid(policy: &Registration, (client_id, client): (&str, &Client)) -> bool {
    let denied = policy.denied.iter().any(|beginning| client_id.starts_with(beginning));
    let late_enough = policy.not_before.is_none_or(|at| at.seconds() <= client.registered_at.seconds());
    !denied && late_enough
}

fn is_listed(hosts: &[&str], host: &str) -> bool {
    hosts.is_empty() || hosts.contains(&host)
}
