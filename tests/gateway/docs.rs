//! The tests named in the documents exist.

use crate::workspace;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Documents whose tables have a last column of tests.
const DOCUMENTS: &[&str] =
    &["docs/attacks.md", "docs/conformance.md", "docs/contract.md", "docs/operations.md"];
/// Prefixes allowed in that column instead of a test: a rule for others, or one that is not implemented yet.
const EXCEPTIONS: [&str; 2] = ["not ours: ", "not built: "];
/// Ids of the MUST rules that are not implemented. The list must not grow.
const OPEN: &[&str] = &[];
/// Folders with tests, and whether their unit tests are in a module `tests` of their own.
const SOURCES: &[(&str, bool)] =
    &[("tests/gateway", false), ("routes/tests", false), ("src", true), ("routes/src", true)];

fn root() -> &'static Path {
    workspace()
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

/// Tests that are not ignored, with the names that `cargo test` shows.
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

/// Functions with a test attribute and without `ignore`.
fn tests_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("#[test]").flat_map(|part| part.split("#[tokio::test")).skip(1).filter_map(|behind| {
        let (attributes, function) = behind.split_once("fn ")?;
        let name = function.split('(').next()?;
        (!attributes.contains("#[ignore")).then_some(name)
    })
}

/// Cells of the rows of a document's tables.
fn rows(document: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let tables = text.lines().filter(|line| line.starts_with('|') && line.ends_with('|'));
    let rows = tables.filter(|line| !line.starts_with("|---") && !line.starts_with("| id |"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Tests that a cell names.
fn tests_named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Kind and reason of a cell without tests.
fn exception(cell: &str) -> Option<(&'static str, &str)> {
    EXCEPTIONS.into_iter().find_map(|kind| Some((kind, cell.strip_prefix(kind)?)))
}

#[test]
fn every_row_names_existing_tests_that_are_not_ignored() {
    let known = tests_that_run();
    let mut wrong = Vec::new();
    for document in DOCUMENTS {
        for row in rows(document) {
            let cell = row.last().unwrap();
            if exception(cell).is_some() {
                continue;
            }
            let tests = tests_named(cell);
            if tests.is_empty() {
                wrong.push(format!("{document}, {}: no test", row[0]));
            }
            let unknown = tests.iter().filter(|test| !known.contains(**test));
            wrong.extend(unknown.map(|test| format!("{document}, {}: {test}", row[0])));
        }
    }
    assert!(wrong.is_empty(), "no such test, or it is ignored:\n{}", wrong.join("\n"));
}

#[test]
fn no_cell_is_empty_and_every_missing_must_is_listed() {
    let mut open = Vec::new();
    for document in DOCUMENTS {
        for row in rows(document) {
            assert!(row.iter().all(|cell| !cell.is_empty()), "{document}: {row:?}");
            let Some((kind, reason)) = exception(row.last().unwrap()) else { continue };
            assert!(reason.len() > 10, "{document}: {row:?} says no reason");
            assert!(*document == "docs/conformance.md", "{document}: a promise needs a test: {row:?}");
            if kind == "not built: " && row[2].starts_with("MUST") {
                open.push(row[0].clone());
            }
        }
    }
    assert_eq!(open, OPEN, "exactly the MUST rules that are not implemented are listed");
}

#[test]
fn row_ids_are_unique() {
    for document in DOCUMENTS {
        let mut seen = HashSet::new();
        let twice: Vec<String> = rows(document)
            .into_iter()
            .map(|row| row[0].clone())
            .filter(|id| !seen.insert(id.clone()))
            .collect();
        assert!(twice.is_empty(), "{document}: {twice:?}");
        assert!(seen.len() > 10, "{document} is read wrongly: {seen:?}");
    }
}

#[test]
fn row_references_exist() {
    for document in DOCUMENTS {
        let rows = rows(document);
        let ids: HashSet<&str> = rows.iter().map(|row| &*row[0]).collect();
        let tables: HashSet<&str> = ids.iter().filter_map(|id| Some(id.rsplit_once('-')?.0)).collect();
        let words =
            rows.iter().flatten().flat_map(|cell| cell.split(|c: char| !(c.is_alphanumeric() || c == '-')));
        let points = words.filter(|word| {
            let parts = word.rsplit_once('-');
            parts.is_some_and(|(table, row)| tables.contains(table) && row.parse::<u16>().is_ok())
        });
        let missing: Vec<&str> = points.filter(|id| !ids.contains(id)).collect();
        assert!(missing.is_empty(), "{document}: {missing:?}");
    }
}

#[test]
fn functions_named_in_the_architecture_exist() {
    let (mut wrong, mut found) = (Vec::new(), 0);
    for row in rows("docs/architecture.md") {
        let cell = row.last().unwrap();
        if !cell.starts_with("`src/") {
            continue;
        }
        let mut file = ("", String::new());
        for name in tests_named(cell) {
            if name.starts_with("src/") {
                file = (name, fs::read_to_string(root().join(name)).unwrap_or_default());
            } else if file.1.contains(&format!("fn {name}(")) || file.1.contains(&format!("fn {name}<")) {
                found += 1;
            } else {
                wrong.push(format!("{}: {name}", file.0));
            }
        }
    }
    assert!(wrong.is_empty(), "no such function:\n{}", wrong.join("\n"));
    assert!(found > 50, "the tables are read wrongly: {found}");
}

#[test]
fn ignored_tests_are_not_found() {
    let text = "#[test]\nfn runs() {}\n#[tokio::test(flavor = \"x\")]\nasync fn runs_too() {}\n\
                #[test]\n#[ignore = \"slow\"]\nfn does_not() {}\n";
    assert_eq!(tests_in(text).collect::<Vec<_>>(), ["runs", "runs_too"]);
}
