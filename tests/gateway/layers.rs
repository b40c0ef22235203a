//! Rules of the architecture: dependencies between modules, restricted crates, length of files.

mod circles;

use crate::workspace;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Layers, lowest first. A module may use modules of lower layers, not of its own.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["crypto"],
    &["oauth", "settings"],
    &["credential", "pages"],
    &["fetch", "okta", "proxy", "store"],
    &["grants"],
    &["app"],
    &["endpoints"],
    &["cli", "server"],
    &["main"],
];
/// Allowed dependencies within a layer: (from, to).
const ALLOWED_SIBLINGS: &[(&str, &str)] = &[("cli", "server")];
/// Forbidden dependencies that the layers would allow.
const FORBIDDEN: &[(&str, &str)] = &[
    ("proxy", "oauth"),
    ("proxy", "credential"),
    ("proxy", "settings"),
    ("store", "oauth"),
    ("pages", "oauth"),
];
/// Crates that only these modules may use.
const NAMED_ONLY_IN: &[(&str, &[&str])] = &[
    ("warp", &["server"]),
    ("biscuit", &["crypto"]),
    ("redb", &["store"]),
    ("bb8_redis", &["store"]),
    ("askama", &["pages"]),
    ("reqwest", &["fetch", "okta"]),
    ("envy", &["settings"]),
    ("quick_cache", &["base"]),
];
const MAX_FILE_LINES: usize = 300;

/// Every Rust file below `folder`, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![workspace().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no Rust files");
    found
}

/// Module of a file of `src/`.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix(workspace().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Code without line comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Modules named in `use crate::…` and in paths like `crate::x::`.
fn named_modules(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let group = group.split('}').next().unwrap_or_default();
            named.extend(group.split(',').map(|item| first_word(item.trim())));
        } else {
            named.push(first_word(rest));
        }
    }
    named
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn layers_depend_only_on_lower_layers() {
    let layer: BTreeMap<&str, usize> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(depth, names)| names.iter().map(move |name| (*name, depth)))
        .collect();
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let from = module(&path);
        if from == "lib" {
            continue;
        }
        let depth =
            *layer.get(&*from).unwrap_or_else(|| panic!("{from} is in no layer: add it to the table"));
        for to in named_modules(&code(&text)) {
            let Some(other) = layer.get(&*to) else { continue };
            let is_allowed_sibling = ALLOWED_SIBLINGS.contains(&(&*from, &*to));
            let fits = to == from || *other < depth || is_allowed_sibling;
            if !fits || FORBIDDEN.contains(&(&*from, &*to)) {
                wrong.push(format!("{}: {from} uses {to}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn endpoint_folders_do_not_depend_on_each_other() {
    for (path, text) in sources("src/endpoints") {
        let folder =
            path.strip_prefix(workspace().join("src/endpoints")).unwrap().components().next().unwrap();
        let folder = folder.as_os_str().to_str().unwrap().trim_end_matches(".rs");
        let code = code(&text);
        let others =
            code.match_indices("crate::endpoints::").map(|(at, found)| first_word(&code[at + found.len()..]));
        for other in others {
            assert_eq!(other, folder, "{} uses another folder", path.display());
        }
    }
}

#[test]
fn restricted_crates_are_used_in_one_module_only() {
    for (path, text) in sources("src") {
        let code = code(&text);
        for (word, homes) in NAMED_ONLY_IN {
            let named = code.contains(&format!("{word}::")) || code.contains(&format!("use {word};"));
            let home = homes.contains(&&*module(&path));
            assert!(!named || home, "{} uses {word}: only {homes:?} may", path.display());
        }
    }
}

#[test]
fn the_product_never_uses_the_fetch_policy_of_tests() {
    for (path, text) in sources("src").into_iter().filter(|(path, _)| module(path) != "fetch") {
        assert!(!code(&text).contains("further("), "{}: that is for tests", path.display());
    }
}

#[test]
fn every_file_is_at_most_300_lines() {
    let folders = ["src", "routes/src", "routes/tests", "tests", "benches/src", "demo/src"];
    for (path, text) in folders.iter().flat_map(|folder| sources(folder)) {
        let lines = text.lines().count();
        assert!(
            lines <= MAX_FILE_LINES,
            "{} has {lines} lines: {MAX_FILE_LINES} at the most",
            path.display()
        );
    }
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    for (path, text) in
        ["src", "routes/src", "benches/src", "demo/src"].iter().flat_map(|folder| sources(folder))
    {
        assert!(
            !code(&text).contains("#[allow(") && !code(&text).contains("#![allow("),
            "{}",
            path.display()
        );
    }
}
