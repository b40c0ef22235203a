//! Import circles: modules of one folder that use each other, directly or indirectly.

use super::{code, sources};
use crate::workspace;
use std::collections::{BTreeMap, BTreeSet};

/// Module path from the root of the crate.
type Module = Vec<String>;
/// Siblings that each module of a folder uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

#[test]
fn modules_of_a_folder_have_no_import_circle() {
    let mut circles = Vec::new();
    for folder in ["src", "routes/src", "benches/src", "demo/src"] {
        for (parent, uses) in uses_of_siblings(&modules(folder)) {
            let circular = uses.keys().filter(|module| reachable(module, &uses).contains(*module));
            circles.extend(circular.map(|module| format!("{folder}: {}::{module}", parent.join("::"))));
        }
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

/// Modules below `folder` with their code, without unit tests.
fn modules(folder: &str) -> BTreeMap<Module, String> {
    let root = workspace().join(folder);
    let module = |(path, text): (std::path::PathBuf, String)| {
        let inside = path.strip_prefix(&root).unwrap().with_extension("");
        let names: Module = inside.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
        let code = code(text.split("#[cfg(test)]\nmod ").next().unwrap_or_default());
        (!names.iter().any(|name| ["lib", "main", "tests"].contains(&&**name))).then_some((names, code))
    };
    sources(folder).into_iter().filter_map(module).collect()
}

/// Dependencies between the modules of each folder; those of submodules count for their parent.
fn uses_of_siblings(modules: &BTreeMap<Module, String>) -> BTreeMap<Module, Uses> {
    let mut siblings: BTreeMap<Module, Uses> = BTreeMap::new();
    for (from, code) in modules {
        for to in paths(from, code) {
            let depth = (0..=to.len()).rev().find(|depth| modules.contains_key(&to[..*depth]));
            let Some(to) = depth.map(|depth| &to[..depth]) else { continue };
            let common = from.iter().zip(to).take_while(|(one, other)| one == other).count();
            if let (Some(user), Some(used)) = (from.get(common), to.get(common)) {
                let uses = siblings.entry(from[..common].to_vec()).or_default();
                uses.entry(user.clone()).or_default().insert(used.clone());
            }
        }
    }
    siblings
}

/// Paths that begin with `crate::` or `super::`, from the root of the crate.
fn paths(from: &Module, code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        expand(&[], &code[at + "crate::".len()..], &mut found);
    }
    for (at, _) in code.match_indices("super::") {
        // The last `super::` of a sequence stands for all of them.
        let rest = &code[at + "super::".len()..];
        let supers = 1 + code[..at].rsplit("super::").take_while(|part| part.is_empty()).count();
        if !rest.starts_with("super::") && supers <= from.len() {
            expand(&from[..from.len() - supers], rest, &mut found);
        }
    }
    found
}

/// Adds the paths of a `use` tree such as `a::{b, c::d}` below `parent`.
fn expand(parent: &[String], tree: &str, found: &mut Vec<Module>) {
    if let Some(group) = tree.strip_prefix('{') {
        let mut depth = 0;
        let mut start = 0;
        for (at, sign) in group.char_indices() {
            match sign {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    expand(parent, group[start..at].trim(), found);
                    start = at + 1;
                    if sign == '}' {
                        return;
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let name = super::first_word(tree);
    let path = [parent, std::slice::from_ref(&name)].concat();
    match tree[name.len()..].strip_prefix("::") {
        Some(rest) if !name.is_empty() => expand(&path, rest, found),
        _ => found.push(path),
    }
}

/// All modules that a module uses, directly or indirectly.
fn reachable(module: &str, uses: &Uses) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&str> = vec![module];
    while let Some(module) = next.pop() {
        for used in uses.get(module).into_iter().flatten() {
            if seen.insert(used.clone()) {
                next.push(used);
            }
        }
    }
    seen
}
