//! `upstream_headers` of routes: header values with secrets from the environment.

use super::environment::Environment;
use crate::base::secret::Secret;
use gateway_routes::{Site, UpstreamHeader, ValuePart};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Longest value of a header, in bytes: servers accept 8 KiB a line.
const MAX_VALUE_BYTES: usize = 8000;

/// Values of the variables, by name; `None` if the variable has a problem, which was reported.
type Variables = BTreeMap<&'static str, Option<Secret>>;

/// Reads each variable once and returns the serialized header fields (RFC 9112 §5) by the pattern of their route. A
/// problem names the variable, the header and the route.
pub(super) fn read(
    environment: &Environment,
    site: &Site,
    problems: &mut Vec<String>,
) -> BTreeMap<&'static str, Secret> {
    let variables = variables(environment, site, problems);
    let mut read = BTreeMap::new();
    for route in site.table.routes().iter().filter(|route| !route.upstream_headers.is_empty()) {
        let mut fields = Zeroizing::new(String::new());
        for header in route.upstream_headers {
            let value = value(header, &variables);
            if value.len() > MAX_VALUE_BYTES {
                problems.push(format!(
                    "the header {} of route {} (upstream_headers) would be longer than {MAX_VALUE_BYTES} bytes: \
                     shorten its variables",
                    header.name, route.pattern
                ));
            }
            for part in [header.name, ": ", &value, "\r\n"] {
                fields.push_str(part);
            }
        }
        read.insert(route.pattern, Secret::new(fields.as_str()));
    }
    read
}

/// Reads and validates the variables of all routes.
fn variables(environment: &Environment, site: &Site, problems: &mut Vec<String>) -> Variables {
    let mut uses: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for route in site.table.routes() {
        for header in route.upstream_headers {
            for variable in header.variables() {
                let text = format!("{} of route {}", header.name, route.pattern);
                uses.entry(variable).or_default().push(text);
            }
        }
    }
    let mut variables = Variables::new();
    for (name, mut uses) in uses {
        uses.dedup();
        let mut found = Vec::new();
        let value = environment.secret(name, &mut found).filter(|value| {
            let is_valid = is_header_value(value.expose());
            if !is_valid {
                found.push(format!(
                    "{name} cannot be part of a header: give visible ASCII characters on one line, without white \
                     space around them"
                ));
            }
            is_valid
        });
        if value.is_none() && found.is_empty() {
            found.push(format!("{name} is not set: give it, or the path of its file in {name}_FILE"));
        }
        let needed = uses.join(", ");
        problems.extend(found.into_iter().map(|problem| format!("{problem} (upstream_headers: {needed})")));
        variables.insert(name, value);
    }
    variables
}

/// Returns `true` for a value, or a part of one, that no server can read as anything else (RFC 9110 §5.5).
fn is_header_value(value: &str) -> bool {
    value.trim_matches([' ', '\t']) == value && value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn value(header: &UpstreamHeader, variables: &Variables) -> Zeroizing<String> {
    let parts = header.value.iter().map(|part| match part {
        ValuePart::Text(text) => text,
        ValuePart::Variable(name) => variables.get(name).and_then(Option::as_ref).map_or("", Secret::expose),
    });
    Zeroizing::new(parts.collect())
}

#[cfg(test)]
mod tests;
