//! The route compiler with arbitrary text.

use super::{Target, text};
use gateway_routes::compile::compile;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The result is a site, or all problems with their lines.
pub(super) const SITE: Target = Target {
    name: "site",
    run: site,
    seeds: &[
        "proxies:\n  - pattern: /mcp/dice/\n    target_url: http://localhost:3000\n",
        "base_url: https://mcp.example.com\ntokens: { access_ttl: 10m }\nproxies: [{ pattern: /a/, target_url: \"http://[::1]/x/\" }]\n",
        "trusted_proxies: [10.0.0.0/8, \"2001:db8::/32\"]\nlimits: { tokens: 5 }\nredirect_schemes: [a]\n",
    ],
};

fn site(input: &[u8]) {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("fuzzed-site-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        folder
    });
    // A glob would read files of this machine.
    if text(input).is_none_or(|input| input.contains("include")) {
        return;
    }
    std::fs::write(FOLDER.join("config.yaml"), input).expect("a file can be written");
    match compile(&FOLDER, Path::new("config.yaml")) {
        Ok(compiled) => assert!(compiled.rust.contains("pub const SITE: Site")),
        Err(problems) => {
            assert!(problems.iter().all(|problem| problem.to_string().starts_with("config.yaml:")));
        }
    }
}
