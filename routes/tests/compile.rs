//! The compiler, from outside: what it writes, and what it says about mistakes.
#![cfg(feature = "compile")]

use gateway_routes::compile::{Compiled, compile};
use std::path::{Path, PathBuf};
use std::{env, fs};

const CONFIG: &str = "config.yaml";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn golden(name: &str) -> Compiled {
    compile(&folder("golden").join(name), Path::new(CONFIG)).expect("there is no mistake in it")
}

/// Compares with a file; `BLESS=1 cargo test` writes it instead.
fn assert_is_file(found: &str, file: &Path) {
    if env::var_os("BLESS").is_some() {
        fs::write(file, found).expect("the file can be written");
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(found, expected, "{} differs; BLESS=1 writes it", file.display());
}

#[test]
fn a_site_becomes_the_rust_that_a_person_would_have_written() {
    for name in ["seed", "site"] {
        assert_is_file(&golden(name).rust, &folder("golden").join(name).join("site.rs"));
    }
}

#[test]
fn every_mistake_is_reported_with_its_place_and_its_remedy() {
    let mut cases: Vec<_> = fs::read_dir(folder("rejects"))
        .expect("the folder is there")
        .map(|case| case.expect("readable").path())
        .collect();
    cases.sort();
    assert!(cases.len() > 20, "cases are missing");
    for case in cases {
        let problems = compile(&case, Path::new(CONFIG)).expect_err("it has mistakes");
        assert_is_file(&problems.to_string(), &case.join("problems.txt"));
        for problem in problems.iter() {
            assert_eq!(problem.to_string().lines().count(), 1, "cargo prints one line a problem");
        }
    }
}

#[test]
fn the_files_and_the_folder_of_new_ones_are_watched_and_nothing_else() {
    let folder = folder("golden").join("site");
    let expected = ["config.yaml", "routes", "routes/tickets-v2.yaml", "routes/tickets.yaml"];
    assert_eq!(golden("site").watched, expected.map(|path| folder.join(path)));
}

#[test]
fn our_own_site_compiles_to_the_two_examples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let compiled = compile(root, Path::new(CONFIG)).expect("there is no mistake in it");
    let patterns: Vec<_> = compiled.routes.iter().map(|route| route.pattern).collect();
    assert_eq!(patterns, ["/mcp/dice/", "/mcp/uuid/"]);
}

#[test]
fn the_output_is_the_same_wherever_the_site_is() {
    let folder = folder("golden").join("site");
    let here = compile(&folder, Path::new(CONFIG)).expect("there is no mistake in it");
    let absolute = compile(Path::new("/"), &folder.join(CONFIG)).expect("there is no mistake in it");
    assert_eq!(here.rust, absolute.rust);
}
