//! From YAML to Rust: reads a site and the files it includes, and writes the constants they mean, or every
//! mistake in all of them.
//!
//! `source` and `include` find the files, `tree` gives them lines, `section` and `value` read them into a
//! `definition`, `check` compares the files with each other, `emit` writes the Rust. Only build scripts and
//! tests link this.

mod check;
mod definition;
mod emit;
mod include;
mod problem;
mod section;
mod source;
mod tree;
mod value;

pub use problem::{Problem, Problems};

use check::Placed;
use definition::{Definition, Draft, Glob};
use problem::Fault;
use sha2::{Digest, Sha256};
use source::Source;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tree::Node;

/// A site without a mistake.
#[derive(Debug)]
pub struct Compiled {
    /// The Rust text: `pub const SITE: Site` and what it needs. The same on every machine.
    pub rust: String,
    /// The routes that the text spells out, in their order.
    pub routes: Vec<crate::Route>,
    /// The files it was made from, and the folders in which a new file would change it.
    pub watched: Vec<PathBuf>,
}

/// Compiles the site in `config`, a path relative to `root` (the workspace) or absolute.
///
/// # Errors
/// Every mistake in the site and in all files that it includes, in the order of files and lines.
pub fn compile(root: &Path, config: &Path) -> Result<Compiled, Problems> {
    let config = config.strip_prefix(root).unwrap_or(config);
    let mut compiler =
        Compiler { root, config, sources: Vec::new(), watched: Vec::new(), faults: Vec::new() };
    let label = if config.is_absolute() { Path::new(config.file_name().unwrap_or_default()) } else { config };
    let definition = compiler.read_file(root.join(config), (config, label), definition::site).flatten();
    let drafts = definition.as_ref().map(|site| compiler.all_drafts(site)).unwrap_or_default();
    if compiler.faults.is_empty() || !drafts.is_empty() {
        compiler.faults.extend(check::check(&compiler.sources, &drafts));
    }
    match definition {
        Some(definition) if compiler.faults.is_empty() => Ok(compiler.compiled(&definition, &drafts)),
        _ => Err(compiler.problems()),
    }
}

/// One compilation; the first source is the site's own file.
struct Compiler<'a> {
    root: &'a Path,
    config: &'a Path,
    sources: Vec<Source>,
    watched: Vec<PathBuf>,
    faults: Vec<Placed>,
}

impl Compiler<'_> {
    /// Reads a file, called `name` in problems and `label` in the output; `None` when it is not YAML.
    fn read_file<T>(
        &mut self,
        path: PathBuf,
        (name, label): (&Path, &Path),
        read: impl Fn(&Node) -> (T, Vec<Fault>),
    ) -> Option<T> {
        let (source, unreadable) = Source::read(&path, name, label);
        let place = self.sources.len();
        self.watched.push(path);
        let (node, faults) = match unreadable {
            Some(fault) => (None, vec![fault]),
            None => tree::parse(&source.text),
        };
        self.sources.push(source);
        let (value, wrong) = node.as_ref().map(read).unzip();
        let faults = faults.into_iter().chain(wrong.into_iter().flatten());
        self.faults.extend(faults.map(|fault| (place, fault)));
        value
    }

    /// The routes of the site's own file and of those it includes, and the places of their files.
    fn all_drafts(&mut self, site: &Definition) -> Vec<(usize, Draft)> {
        let mut drafts: Vec<_> = site.proxies.iter().map(|draft| (0, *draft)).collect();
        let mut seen = HashSet::new();
        for glob in &site.include {
            for file in self.included(glob) {
                if seen.insert(file.clone()) {
                    drafts.extend(self.draft(&file).map(|draft| (self.sources.len() - 1, draft)));
                }
            }
        }
        for route in drafts.iter_mut().filter_map(|(_, draft)| draft.route.as_mut()) {
            route.ca_file = route.ca_file.or(site.ca_file.filter(|_| route.target.tls));
        }
        drafts
    }

    fn included(&mut self, glob: &Glob) -> Vec<PathBuf> {
        match include::files(self.root, &self.root.join(folder(self.config)), glob) {
            Ok(included) => {
                self.watched.extend(included.folder);
                included.files
            }
            Err(fault) => {
                self.faults.push((0, fault));
                Vec::new()
            }
        }
    }

    fn draft(&mut self, file: &Path) -> Option<Draft> {
        let name = folder(self.config).join(file);
        // A site outside the workspace is called by its own folder, lest the output name the machine's.
        let label = if self.config.is_absolute() { file } else { &name };
        self.read_file(self.root.join(&name), (&name, label), definition::route)
    }

    fn compiled(self, definition: &Definition, drafts: &[(usize, Draft)]) -> Compiled {
        let label = |place: usize| self.sources[place].label.as_str();
        let routes: Vec<_> =
            drafts.iter().filter_map(|(place, draft)| Some((label(*place), draft.route?))).collect();
        let rust =
            emit::Rust { file: label(0), site: definition, routes: &routes, digest: &digest(&self.sources) };
        let rust = rust.to_string();
        let routes = routes.into_iter().map(|(_, route)| route).collect();
        let mut watched = self.watched;
        watched.sort();
        watched.dedup();
        Compiled { rust, routes, watched }
    }

    fn problems(mut self) -> Problems {
        self.faults.sort_by_key(|(place, fault)| (*place, fault.line));
        Problems(
            self.faults.into_iter().map(|(place, fault)| fault.in_file(&self.sources[place].name)).collect(),
        )
    }
}

fn folder(config: &Path) -> &Path {
    config.parent().unwrap_or(Path::new(""))
}

/// SHA-256 over the files' labels and texts, each behind its length, in lower-case hex.
fn digest(sources: &[Source]) -> String {
    let mut hash = Sha256::new();
    for part in sources.iter().flat_map(|source| [&source.label, &source.text]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
