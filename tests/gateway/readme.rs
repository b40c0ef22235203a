//! Links, commands and endpoints in the documentation exist.

use crate::harness::{World, http};
use crate::workspace;
use std::fs;

const PAGES: &[&str] = &[
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "nix/README.md",
    "routes/README.md",
    "docs/architecture.md",
    "docs/attacks.md",
    "docs/benchmarks.md",
    "docs/conformance.md",
    "docs/contract.md",
    "docs/operations.md",
    "tests/clients/README.md",
    "tests/conformance/README.md",
];

fn read(page: &str) -> String {
    fs::read_to_string(workspace().join(page)).unwrap()
}

#[test]
fn every_file_link_of_the_readme_exists() {
    let mut links = 0;
    for page in PAGES {
        let folder = workspace().join(page);
        for link in read(page).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(folder.parent().unwrap().join(file).exists(), "{page} links to {file}");
            links += 1;
        }
    }
    assert!(links > 10, "the links are parsed incorrectly");
}

#[test]
fn every_make_target_of_the_readme_exists() {
    let makefile = read("Makefile");
    let mut commands = 0;
    for page in PAGES {
        let text = read(page);
        let code = text.split("\n    make ").skip(1).chain(text.split("`make ").skip(1));
        for target in code.filter_map(|rest| rest.split([' ', '`', '\n']).next()) {
            assert!(makefile.contains(&format!("\n{target}: ")), "{page}: make {target}");
            commands += 1;
        }
    }
    assert!(commands >= 4, "the commands are parsed incorrectly");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_of_the_readme_exists() {
    let world = World::start().await;
    let readme = read("README.md");
    let table = readme.split("### Endpoints").nth(1).unwrap().split("\n## ").next().unwrap();
    let cells =
        table.lines().filter_map(|line| line.strip_prefix("| `")).map(|row| row.split(" | ").next().unwrap());
    let paths: Vec<&str> =
        cells.flat_map(|cell| cell.split('`')).filter(|part| part.starts_with('/')).collect();
    assert!(paths.len() >= 12, "{paths:?}");
    for path in paths {
        let path = path.trim_end_matches('…');
        let status = http().get(world.url(path)).send().await.unwrap().status();
        assert_ne!(status, 404, "{path}");
    }
}
