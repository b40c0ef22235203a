//! Build script of the gateway, the demo and the benchmark: compiles `config.yaml`, or the file that `GATEWAY_CONFIG`
//! names, into the constants that `main.rs` includes.

use gateway_routes::compile::compile;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=GATEWAY_CONFIG");
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?);
    let root = package.ancestors().find(|folder| folder.join("Cargo.lock").exists()).unwrap_or(&package);
    let config = env::var_os("GATEWAY_CONFIG").filter(|path| !path.is_empty());
    let config = config.map_or_else(|| PathBuf::from("config.yaml"), PathBuf::from);
    match compile(root, &config) {
        Ok(site) => {
            site.watched.iter().try_for_each(|path| watch(path))?;
            let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
            fs::write(out.join("site.rs"), site.rust)?;
        }
        // Cargo always runs a failed build script again.
        Err(problems) => problems.iter().for_each(|problem| println!("cargo::error={problem}")),
    }
    Ok(())
}

/// Tells cargo to rerun the build script when the file, or anything in the directory, changes.
fn watch(path: &Path) -> Result<(), Box<dyn Error>> {
    let path = path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))?;
    // build-deps expects a glob: brackets in the path of the checkout must be escaped.
    let literal: String =
        path.chars().map(|c| if "*?[".contains(c) { format!("[{c}]") } else { c.into() }).collect();
    build_deps::rerun_if_changed_paths(&literal).map_err(|error| format!("{error:?}").into())
}
