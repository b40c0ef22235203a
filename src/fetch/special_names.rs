//! Names that never belong to a server on the public internet.

/// Top-level domains of special use: RFC 6761 and its registry, `internal` (ICANN), and those that networks use
/// internally without being delegated.
const SPECIAL_DOMAINS: &[&str] = &[
    "alt",
    "arpa",
    "corp",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "onion",
    "private",
    "test",
];

/// Returns `true` for a name of special use, or one without a dot, which only resolves below a local search domain.
pub(super) fn is_special(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.rsplit_once('.')
        .is_none_or(|(_, domain)| SPECIAL_DOMAINS.iter().any(|special| special.eq_ignore_ascii_case(domain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_special_use_are_not_public() {
        for name in [
            "localhost",
            "intranet",
            "a.localhost.",
            "metadata.google.internal",
            "kubernetes.default.svc.cluster.local",
            "wiki.CORP",
            "1.0.0.10.in-addr.arpa",
            "router.home.arpa",
            "abc.onion",
        ] {
            assert!(is_special(name), "{name}");
        }
        for name in ["claude.ai", "chatgpt.com", "local.example.com", "notlocal.io", "internal.co"] {
            assert!(!is_special(name), "{name}");
        }
    }
}
