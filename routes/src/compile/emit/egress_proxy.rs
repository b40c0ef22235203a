//! Generator of `egress_proxy`.

use super::literal::record;
use crate::EgressProxySite;

pub(super) fn egress_proxy(proxy: &EgressProxySite) -> String {
    if *proxy == EgressProxySite::DEFAULT {
        return "    egress_proxy: EgressProxySite::DEFAULT,".to_owned();
    }
    let username =
        proxy.username.map_or_else(|| "None".to_owned(), |part| format!("Some(ValuePart::{part:?})"));
    let no_proxy = proxy.no_proxy.map_or_else(|| "None".to_owned(), |hosts| format!("Some(&{hosts:?})"));
    record(
        "egress_proxy: EgressProxySite",
        &[
            ("enabled", proxy.enabled.to_string()),
            ("url", format!("{:?}", proxy.url)),
            ("username", username),
            ("password", format!("{:?}", proxy.password)),
            ("no_proxy", no_proxy),
            ("client_metadata", proxy.client_metadata.to_string()),
        ],
    )
}
