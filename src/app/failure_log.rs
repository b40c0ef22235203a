//! Log lines about failed requests, bounded while a failure repeats.

use crate::base::throttle::Throttle;

/// Instruction for a gateway that cannot fetch the documents of clients.
const DOCUMENT_REMEDY: &str = "allow https from this machine to the client's site, or set `client_metadata:` in \
                               config.yaml: `documents` compiles the document in, `mode: pinned` uses it without a \
                               fetch, `mode: off` lets every client register instead";

/// Cause of a failed request; each kind is logged and counted separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The store is unavailable.
    Store,
    /// Okta is unavailable.
    Okta,
    /// Okta rejects the credentials or the settings of the gateway's app: an administrator must act.
    OktaSettings,
    /// A user could not be revalidated at Okta; within `okta_grace`, the request goes on.
    Revalidation,
    /// A client's metadata document or key set is unavailable.
    Document,
    /// The same, but the request goes on with a copy of it.
    DocumentCopy,
    /// An internal error of the gateway.
    Internal,
}

impl FailureKind {
    const ALL: [Self; 7] = [
        Self::Store,
        Self::Okta,
        Self::OktaSettings,
        Self::Revalidation,
        Self::Document,
        Self::DocumentCopy,
        Self::Internal,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Okta | Self::OktaSettings | Self::Revalidation => "okta",
            Self::Document | Self::DocumentCopy => "client_document",
            Self::Internal => "internal",
        }
    }
}

/// The log line about a failed request.
#[derive(Debug, Clone, Copy)]
pub struct FailedRequest<'a> {
    /// The request id, as in the response's `x-request-id`.
    pub request_id: &'a str,
    /// The kind of audit event that the request leaves.
    pub event: &'static str,
    /// The error with all its causes.
    pub cause: &'a str,
}

/// Writer of the lines about failed requests: of each kind the first at once, then one a minute that counts the others.
/// Each failed request leaves an audit event all the same.
#[derive(Debug, Default)]
pub struct FailureLog {
    store: Throttle,
    okta: Throttle,
    okta_settings: Throttle,
    revalidation: Throttle,
    document: Throttle,
    document_copy: Throttle,
    internal: Throttle,
}

impl FailureLog {
    /// Writes the line about a failed request, or counts it. `now` is in seconds since the epoch.
    pub fn write(&self, kind: FailureKind, line: FailedRequest<'_>, now: u64) {
        let throttle = self.throttle(kind);
        let repeated = if throttle.is_first(now) {
            0
        } else {
            let Some(count) = throttle.take_count(now) else { return };
            count - 1
        };
        let FailedRequest { request_id, event, cause } = line;
        match kind {
            FailureKind::Internal => {
                tracing::error!(request_id, event, cause, repeated, "request failed: internal error");
            }
            FailureKind::OktaSettings => tracing::error!(
                request_id,
                event,
                service = kind.as_str(),
                cause,
                repeated,
                "Okta rejects the gateway's app: an administrator must change its settings"
            ),
            FailureKind::Revalidation => tracing::warn!(
                request_id,
                event,
                cause,
                repeated,
                "revalidation of a user failed: the refresh continues within okta_grace"
            ),
            FailureKind::DocumentCopy => tracing::warn!(
                request_id,
                event,
                cause,
                repeated,
                remedy = DOCUMENT_REMEDY,
                "fetch of a client document failed: a copy of it is used"
            ),
            FailureKind::Store | FailureKind::Okta | FailureKind::Document => tracing::warn!(
                request_id,
                event,
                service = kind.as_str(),
                cause,
                repeated,
                remedy = (kind == FailureKind::Document).then_some(DOCUMENT_REMEDY),
                "request failed: a service is unavailable"
            ),
        }
    }

    /// Writes how many requests failed since the last line, a minute or more after it. Must be called regularly.
    pub fn write_counts(&self, now: u64) {
        for kind in FailureKind::ALL {
            if let Some(repeated) = self.throttle(kind).take_count(now) {
                tracing::warn!(
                    service = kind.as_str(),
                    repeated,
                    "further requests met the same failure: see their audit events"
                );
            }
        }
    }

    const fn throttle(&self, kind: FailureKind) -> &Throttle {
        match kind {
            FailureKind::Store => &self.store,
            FailureKind::Okta => &self.okta,
            FailureKind::OktaSettings => &self.okta_settings,
            FailureKind::Revalidation => &self.revalidation,
            FailureKind::Document => &self.document,
            FailureKind::DocumentCopy => &self.document_copy,
            FailureKind::Internal => &self.internal,
        }
    }
}
