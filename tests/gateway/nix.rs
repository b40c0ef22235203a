//! Nix files, checked without Nix: they list all files that a build reads, and those are a valid workspace.

use crate::harness::binary::{built_for, target_dir};
use crate::harness::go_program::GO_PROGRAM_CONFIG;
use crate::workspace;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_routes::compile::compile;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ENVIRONMENTS: &str = "nix/environments";

fn root() -> &'static Path {
    workspace()
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Files and folders of the code that `nix/package.nix` passes to cargo, relative to the workspace.
fn named_by_nix() -> Vec<PathBuf> {
    let package = text("nix/package.nix");
    let list = package.split_once("code = fileset.unions [").unwrap().1.split_once(']').unwrap().0;
    list.split_whitespace().map(|path| path.strip_prefix("../").unwrap().into()).collect()
}

/// Files of the workspace that the Go program's executable was built from, as cargo recorded them, without the site.
fn read_by_the_build() -> Vec<PathBuf> {
    let noted = built_for(Path::new(GO_PROGRAM_CONFIG), "as-it-is").with_extension("d");
    let noted = fs::read_to_string(noted).unwrap().replace("\\ ", "\0");
    let target = target_dir();
    let paths = noted.split_once(": ").unwrap().1.split_whitespace().map(|path| path.replace('\0', " "));
    let paths = paths.map(PathBuf::from).filter(|path| !path.starts_with(&target));
    let paths = paths.filter_map(|path| path.strip_prefix(root()).map(Path::to_owned).ok());
    paths.filter(|path| !path.ends_with("golden/go-program/config.yaml")).collect()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

#[test]
fn every_file_that_the_build_reads_is_listed() {
    let named = named_by_nix();
    let read = read_by_the_build();
    assert!(read.len() > 100, "cargo's note is read wrongly: {read:?}");
    let missing: Vec<_> =
        read.iter().filter(|file| !named.iter().any(|name| file.starts_with(name))).collect();
    assert!(missing.is_empty(), "name them in nix/package.nix: {missing:?}");
}

#[test]
fn the_listed_files_are_a_valid_cargo_workspace() {
    let folder = tempfile::tempdir().unwrap();
    for name in named_by_nix() {
        copy(&root().join(&name), &folder.path().join(name));
    }
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--locked", "--format-version=1"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_environment_pins_its_url_and_its_files() {
    let files = fs::read_dir(root().join(ENVIRONMENTS)).unwrap().map(|entry| entry.unwrap().path());
    let sites: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    assert!(!sites.is_empty());
    for site in sites {
        let compiled = compile(root(), &site).unwrap_or_else(|problems| panic!("{problems:?}"));
        let name = site.file_stem().unwrap().to_str().unwrap();
        for line in [&*format!("environment: {name:?},"), "base_url: Some(\"https://"] {
            assert!(compiled.rust.contains(line), "{}: {line} is missing", site.display());
        }
        let gathered = [site.clone(), site.with_extension(""), root().join("routes"), root().join("clients")];
        for path in compiled.watched {
            let path = path.canonicalize().unwrap();
            assert!(gathered.iter().any(|known| path.starts_with(known)), "{}", path.display());
        }
    }
}

#[test]
fn the_flake_lock_pins_every_input() {
    let flake = text("flake.nix");
    let lock: Value = serde_json::from_str(&text("flake.lock")).unwrap();
    let inputs = lock["nodes"]["root"]["inputs"].as_object().unwrap();
    assert_eq!(inputs.len(), flake.matches("inputs.").count(), "{inputs:?}");
    for (input, node) in inputs {
        let (original, locked) = {
            let node = &lock["nodes"][node.as_str().unwrap()];
            (&node["original"], &node["locked"])
        };
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let [owner, repo, branch] = ["owner", "repo", "ref"].map(|name| word(&original[name]));
        let url = format!("inputs.{input}.url = \"github:{owner}/{repo}/{branch}\";");
        assert!(flake.contains(&url), "{url}");
        let revision = word(&locked["rev"]);
        assert!(revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit()), "{revision}");
        let hash = STANDARD.decode(word(&locked["narHash"]).strip_prefix("sha256-").unwrap()).unwrap();
        assert!(hash.len() == 32 && locked["lastModified"].is_u64(), "{locked}");
        assert_eq!([&locked["owner"], &locked["repo"]], [&original["owner"], &original["repo"]]);
    }
}
