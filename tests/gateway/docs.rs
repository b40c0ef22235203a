//! The documents that say which test shows what are held to the tests that there are.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The documents whose tables end in a column of tests.
const DOCUMENTS: &[&str] = &["docs/attacks.md", "docs/contract.md"];
/// Where tests are, and whether those beside the code are in a module `tests` of their own.
const SOURCES: &[(&str, bool)] =
    &[("tests/gateway", false), ("routes/tests", false), ("src", true), ("routes/src", true)];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The tests that run, as `cargo test` names them.
fn tests_that_run() -> HashSet<String> {
    let mut names = HashSet::new();
    for (folder, beside_code) in SOURCES {
        let mut files = Vec::new();
        rust_files(&root().join(folder), &mut files);
        for file in files {
            let module = file.strip_prefix(root().join(folder)).unwrap().with_extension("");
            let mut module: Vec<&str> = module.iter().map(|part| part.to_str().unwrap()).collect();
            if *beside_code && module.last() != Some(&"tests") {
                module.push("tests");
            }
            let text = fs::read_to_string(&file).unwrap();
            names.extend(tests_in(&text).map(|test| format!("{}::{test}", module.join("::"))));
        }
    }
    names
}

/// The functions that stand below a test attribute, but for those that are ignored.
fn tests_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("#[test]").flat_map(|part| part.split("#[tokio::test")).skip(1).filter_map(|behind| {
        let (attributes, function) = behind.split_once("fn ")?;
        let name = function.split('(').next()?;
        (!attributes.contains("#[ignore")).then_some(name)
    })
}

/// The rows of the document's tables: the first cell, and the tests that the last one names.
fn rows(document: &str) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let tables = text.lines().filter(|line| line.starts_with('|') && line.ends_with('|'));
    let rows = tables.filter(|line| !line.starts_with("|---") && !line.starts_with("| id |"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let named = cells.last().unwrap().split('`').skip(1).step_by(2);
        (cells[0].to_owned(), named.map(str::to_owned).collect())
    })
    .collect()
}

#[test]
fn every_promise_names_tests_that_exist_and_run() {
    let known = tests_that_run();
    let mut wrong = Vec::new();
    for document in DOCUMENTS {
        for (id, tests) in rows(document) {
            if tests.is_empty() {
                wrong.push(format!("{document}, {id}: no test"));
            }
            let unknown = tests.iter().filter(|test| !known.contains(*test));
            wrong.extend(unknown.map(|test| format!("{document}, {id}: {test}")));
        }
    }
    assert!(wrong.is_empty(), "no such test, or it is ignored:\n{}", wrong.join("\n"));
}

#[test]
fn every_row_has_an_id_of_its_own() {
    for document in DOCUMENTS {
        let mut seen = HashSet::new();
        let twice: Vec<String> =
            rows(document).into_iter().map(|(id, _)| id).filter(|id| !seen.insert(id.clone())).collect();
        assert!(twice.is_empty(), "{document}: {twice:?}");
        assert!(seen.len() > 10, "{document} is read wrongly: {seen:?}");
    }
}

#[test]
fn a_test_that_is_ignored_or_gone_would_be_noticed() {
    let text = "#[test]\nfn runs() {}\n#[tokio::test(flavor = \"x\")]\nasync fn runs_too() {}\n\
                #[test]\n#[ignore = \"slow\"]\nfn does_not() {}\n";
    assert_eq!(tests_in(text).collect::<Vec<_>>(), ["runs", "runs_too"]);
}
