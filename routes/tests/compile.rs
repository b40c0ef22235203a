//! Tests of the compiler through its public API: its output and its error messages.
#![cfg(feature = "compile")]

use gateway_routes::compile::{Compiled, compile};
use std::path::{Path, PathBuf};
use std::{env, fs};

const CONFIG: &str = "config.yaml";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn golden(name: &str) -> Compiled {
    compile(&folder("golden").join(name), Path::new(CONFIG)).expect("the file compiles")
}

/// Compares with a golden file; `BLESS=1 cargo test` writes it instead.
fn assert_is_file(found: &str, file: &Path) {
    if env::var_os("BLESS").is_some() {
        fs::write(file, found).expect("the file can be written");
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(found, expected, "{} differs; BLESS=1 writes it", file.display());
}

#[test]
fn a_site_compiles_to_readable_rust() {
    for name in ["go-program", "site"] {
        assert_is_file(&golden(name).rust, &folder("golden").join(name).join("site.rs"));
    }
}

#[test]
fn every_error_is_reported_with_its_line_and_a_correction() {
    let mut cases: Vec<_> = fs::read_dir(folder("rejects"))
        .expect("the folder exists")
        .map(|case| case.expect("readable").path())
        .collect();
    cases.sort();
    assert!(cases.len() > 20, "cases are missing");
    for case in cases {
        let problems = compile(&case, Path::new(CONFIG)).expect_err("the file has errors");
        assert_is_file(&problems.to_string(), &case.join("problems.txt"));
        for problem in problems.iter() {
            assert_eq!(problem.to_string().lines().count(), 1, "cargo prints one line per problem");
        }
    }
}

#[test]
fn only_the_files_of_the_site_and_their_folders_trigger_a_rebuild() {
    let folder = folder("golden").join("site");
    let expected = ["clients", "clients/claude-code.json", "clients/notes.json", "config.yaml", "routes"]
        .into_iter()
        .chain(["routes/tickets-v2.yaml", "routes/tickets.yaml", "routes/wiki.yaml"]);
    assert_eq!(golden("site").watched, expected.map(|path| folder.join(path)).collect::<Vec<_>>());
}

#[test]
fn the_default_site_compiles_to_the_two_examples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let compiled = compile(root, Path::new(CONFIG)).expect("the file compiles");
    let patterns: Vec<_> = compiled.routes.iter().map(|route| route.pattern).collect();
    assert_eq!(patterns, ["/mcp/dice/", "/mcp/uuid/"]);
}

#[test]
fn the_commented_examples_of_the_default_site_compile() {
    let key = |line: &str| {
        line.split_whitespace().next().is_some_and(|word| {
            word.strip_suffix(':').is_some_and(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        })
    };
    let config = include_str!("../../config.yaml");
    let examples = config.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| key(line));
    let examples: Vec<_> = examples.collect();
    assert!(examples.len() >= 8, "{examples:?}");
    let site = Site::new(
        "examples",
        &[
            (CONFIG, &format!("{}\n{config}", examples.join("\n"))),
            ("routes/dice.yaml", DICE),
            ("clients/a.json", CLIENT),
        ],
    );
    let rust = site.compile(CONFIG).expect("the file compiles").rust;
    assert!(rust.contains("base_url: Some(\"https://mcp.example.com\")"), "{rust}");
}

#[test]
fn the_output_does_not_depend_on_the_path_of_the_site() {
    let (folder, expected) = (folder("golden").join("site"), golden("site").rust);
    let elsewhere = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (root, config) in [
        (folder.as_path(), folder.join(CONFIG)),
        (elsewhere, folder.join(CONFIG)),
        (&folder, "./config.yaml".into()),
    ] {
        let compiled = compile(root, &config).expect("the file compiles");
        assert_eq!(compiled.rust, expected, "{} from {}", config.display(), root.display());
    }
}

/// Site in a temporary folder, removed on drop.
struct Site(PathBuf);

impl Site {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let site = Self(folder);
        for (file, text) in files {
            site.write(file, text);
        }
        site
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder can be created");
        fs::write(path, text).expect("a file can be written");
    }

    fn compile(&self, config: &str) -> Result<Compiled, String> {
        compile(&self.0, Path::new(config)).map_err(|problems| problems.to_string())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const DICE: &str = "pattern: /mcp/dice/\ntarget_url: http://localhost:3000\n";
const UUID: &str = "pattern: /mcp/uuid/\ntarget_url: http://localhost:4000\n";

const CLIENT: &str = r#"{ "client_id": "https://client.example.com/a", "client_name": "A",
  "redirect_uris": ["http://localhost/callback"] }"#;

/// Loopback hosts as URLs write them, and hosts that only look like one. `settings` has the same list.
const LOOPBACK: &[&str] =
    &["localhost:8080", "app.localhost", "127.0.0.1", "127.0.0.2:8080", "[::1]:8080", "[::ffff:7f00:1]"];
const NOT_LOOPBACK: &[&str] = &["mcp.example.com", "localhost.example.com", "128.0.0.1", "0.0.0.0", "[::2]"];

#[test]
fn plain_http_is_for_loopback_alone() {
    let site = Site::new("loopback", &[("routes/d.yaml", DICE)]);
    let compile = |host| {
        let text = format!("base_url: http://{host}\ninclude: [\"routes/*.yaml\"]\n");
        site.write(CONFIG, &text);
        site.compile(CONFIG).map(drop)
    };
    for host in LOOPBACK {
        assert_eq!(compile(host), Ok(()), "{host}");
    }
    for host in NOT_LOOPBACK {
        assert!(compile(host).is_err_and(|problems| problems.contains("uses http")), "{host}");
    }
}

#[test]
fn a_missing_file_is_reported_with_its_name() {
    let problems = Site::new("absent", &[]).compile("sites/prod.yaml").expect_err("the file is missing");
    assert_eq!(
        problems,
        "sites/prod.yaml:1: the file cannot be read (entity not found); check its name and permissions\n"
    );
}

#[test]
fn a_file_above_one_mebibyte_is_rejected() {
    let long = format!("# {}\n", "x".repeat(1 << 20));
    let problems = Site::new("long", &[(CONFIG, &long)]).compile(CONFIG).expect_err("the file is too long");
    assert!(problems.starts_with("config.yaml:1: the file is longer than 1 MiB;"), "{problems}");
}

#[test]
fn globs_are_relative_to_their_file_and_skip_hidden_files() {
    let files = [
        ("sites/prod.yaml", "include: [\"../routes/**/*.yaml\", \"../routes/dice.yaml\"]\n"),
        ("routes/uuid.yaml", UUID),
        ("routes/team/dice.yaml", DICE),
        ("routes/.#dice.yaml", "an editor's lock"),
        ("routes/README.md", "no YAML"),
    ];
    let site = Site::new("globs", &files);
    let problems = site.compile("sites/prod.yaml").expect_err("the second entry names no file");
    assert!(
        problems.starts_with("sites/prod.yaml:1: `include`: \"../routes/dice.yaml\" is not there;"),
        "{problems}"
    );
    site.write("sites/prod.yaml", "include: [\"../routes/**/*.yaml\", \"../routes/uuid.yaml\"]\n");
    let compiled = site.compile("sites/prod.yaml").expect("the file compiles");
    let patterns: Vec<_> = compiled.routes.iter().map(|route| route.pattern).collect();
    assert_eq!(patterns, ["/mcp/dice/", "/mcp/uuid/"], "sorted by file, and each file once");
    assert!(compiled.rust.contains("/// From `routes/team/dice.yaml`.\n"), "{}", compiled.rust);
    assert!(compiled.watched.contains(&site.0.join("sites/../routes")));
}

#[test]
fn brackets_in_a_folder_name_are_not_a_glob() {
    let site = Site::new("[a]*?", &[(CONFIG, "include: [\"routes/*.yaml\"]\n"), ("routes/dice.yaml", DICE)]);
    assert_eq!(site.compile(CONFIG).expect("the file compiles").routes.len(), 1);
}

#[test]
fn a_byte_order_mark_and_crlf_line_ends_are_accepted() {
    let site = Site::new(
        "windows",
        &[
            (CONFIG, "\u{FEFF}include:\r\n  - \"routes/*.yaml\"\r\n"),
            ("routes/d.yaml", &DICE.replace('\n', "\r\n")),
        ],
    );
    let compiled = site.compile(CONFIG).expect("the file compiles");
    assert_eq!(compiled.routes[0].target.authority, "localhost:3000");
}

#[test]
fn different_sites_have_different_digests() {
    let digest = |name: &str, files: &[(&str, &str)]| {
        let rust = Site::new(name, files).compile(CONFIG).expect("the file compiles").rust;
        rust.lines().find(|line| line.contains("digest:")).expect("it has one").to_owned()
    };
    let config = (CONFIG, "include: [\"routes/*.yaml\"]\n");
    let one = digest("digest-1", &[config, ("routes/dice.yaml", DICE)]);
    assert_eq!(one, digest("digest-2", &[config, ("routes/dice.yaml", DICE), ("other.yaml", UUID)]));
    assert_ne!(
        one,
        digest("digest-3", &[config, ("routes/dices.yaml", DICE)]),
        "the file name is part of the digest"
    );
    assert_ne!(
        one,
        digest("digest-4", &[config, ("routes/dice.yaml", &format!("{DICE}#\n"))]),
        "every byte is part of the digest"
    );
}

#[test]
fn too_many_routes_are_rejected() {
    let entry = |number| format!("  - {{ pattern: /n{number}/, target_url: http://localhost:3000 }}\n");
    let routes = |count| format!("proxies:\n{}", (0..count).map(entry).collect::<String>());
    let site = Site::new("many", &[(CONFIG, &routes(2048))]);
    assert_eq!(site.compile(CONFIG).expect("the maximum is accepted").routes.len(), 2048);
    site.write(CONFIG, &routes(2049));
    let problems = site.compile(CONFIG).expect_err("one more than the maximum");
    assert_eq!(problems, "config.yaml:1: there are 2049 routes; build gateways of at most 2048 each\n");
}
