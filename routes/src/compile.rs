//! Compiler from YAML to Rust: reads a site with its included files and generates constants, or reports all errors.
//!
//! `source` and `include` find the files, `tree` parses YAML with line numbers, `section` and `value` read it into a
//! `definition`, `client_document` checks the documents of clients, `check` compares the files with each other, and
//! `emit` generates Rust. Only build scripts and tests link this module.

mod check;
mod client_document;
mod definition;
mod emit;
mod include;
mod problem;
mod section;
mod source;
mod tree;
mod value;

pub use problem::{Problem, Problems};

use crate::ClientDocument;
use check::FileError;
use definition::{Definition, Glob, PartialRoute};
use problem::{LineError, ValueError, quoted};
use sha2::{Digest, Sha256};
use source::Source;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use tree::Node;
use value::leak;

/// Result of a successful compilation.
#[derive(Debug)]
pub struct Compiled {
    /// Generated Rust source: `pub const SITE: Site` and its parts. It is the same on every machine.
    pub rust: String,
    /// Routes of the site, in the order of the configuration.
    pub routes: Vec<crate::Route>,
    /// Client metadata documents of the site.
    pub documents: Vec<ClientDocument>,
    /// Files that were read, and directories in which a new file would change the result.
    pub watched: Vec<PathBuf>,
}

/// Compiles the site in `config`, a path relative to `root` (the workspace) or absolute.
///
/// # Errors
/// All errors in the site and its included files, in the order of files and lines.
pub fn compile(root: &Path, config: &Path) -> Result<Compiled, Problems> {
    let config = config.strip_prefix(root).unwrap_or(config);
    let mut compiler =
        Compiler { root, config, sources: Vec::new(), watched: Vec::new(), errors: Vec::new() };
    let label = if config.is_absolute() { Path::new(config.file_name().unwrap_or_default()) } else { config };
    let definition = compiler.read_file(root.join(config), config, label, definition::site).flatten();
    let routes = definition.as_ref().map(|site| compiler.all_routes(site)).unwrap_or_default();
    if compiler.errors.is_empty() || !routes.is_empty() {
        compiler.errors.extend(check::check(&compiler.sources, &routes));
    }
    let documents = definition.as_ref().map(|site| compiler.client_documents(site)).unwrap_or_default();
    match definition {
        Some(definition) if compiler.errors.is_empty() => {
            Ok(compiler.compiled(&definition, &routes, &documents))
        }
        _ => Err(compiler.problems()),
    }
}

/// State of a compilation; the first source is the site's own file.
struct Compiler<'a> {
    root: &'a Path,
    config: &'a Path,
    sources: Vec<Source>,
    watched: Vec<PathBuf>,
    errors: Vec<FileError>,
}

impl Compiler<'_> {
    /// Reads a file, which is called `name` in problems and `label` in the output; `None` when it is not YAML.
    fn read_file<T>(
        &mut self,
        path: PathBuf,
        name: &Path,
        label: &Path,
        read: impl Fn(&Node) -> (T, Vec<LineError>),
    ) -> Option<T> {
        let (source, unreadable) = Source::read(&path, name, label);
        let index = self.sources.len();
        self.watched.push(path);
        let (node, errors) = match unreadable {
            Some(error) => (None, vec![error]),
            None => tree::parse(&source.text),
        };
        self.sources.push(source);
        let (value, error) = node.as_ref().map(read).unzip();
        let errors = errors.into_iter().chain(error.into_iter().flatten());
        self.errors.extend(errors.map(|error| (index, error)));
        value
    }

    /// Reads the routes of the site's own file and of the included files, each with the index of its source.
    fn all_routes(&mut self, site: &Definition) -> Vec<(usize, PartialRoute)> {
        let mut routes: Vec<_> = site.proxies.iter().map(|route| (0, *route)).collect();
        let mut seen = HashSet::new();
        for glob in &site.include {
            for file in self.included(glob) {
                if seen.insert(file.clone()) {
                    routes.extend(self.route(&file).map(|route| (self.sources.len() - 1, route)));
                }
            }
        }
        for route in routes.iter_mut().filter_map(|(_, route)| route.route.as_mut()) {
            route.ca_file = route.ca_file.or(site.ca_file.filter(|_| route.target.tls));
        }
        routes
    }

    fn included(&mut self, glob: &Glob) -> Vec<PathBuf> {
        match include::files(self.root, &self.root.join(folder(self.config)), glob) {
            Ok(included) => {
                self.watched.extend(included.folder);
                included.files
            }
            Err(error) => {
                self.errors.push((0, error));
                Vec::new()
            }
        }
    }

    fn route(&mut self, file: &Path) -> Option<PartialRoute> {
        let name = folder(self.config).join(file);
        // The output must not contain directories of this machine.
        let label = if self.config.is_absolute() { file } else { &name };
        self.read_file(self.root.join(&name), &name, label, definition::route)
    }

    /// Reads the client metadata documents of the site; returns each valid one with the index of its source.
    fn client_documents(&mut self, site: &Definition) -> Vec<(usize, ClientDocument)> {
        let globs = site.client_metadata.documents.iter();
        let files: Vec<PathBuf> = globs.flat_map(|glob| self.included(glob)).collect();
        let (mut seen, mut owners) = (HashSet::new(), HashMap::new());
        let mut documents = Vec::new();
        for file in files.into_iter().filter(|file| seen.insert(file.clone())) {
            let Some(index) = self.read_source(&file) else { continue };
            let source = &self.sources[index];
            let json = source.text.trim_start_matches('\u{FEFF}').trim_end();
            match client_document::check(json, site.redirect_schemes, site.client_metadata.hosts) {
                Err(errors) => self.errors.extend(errors.into_iter().map(|error| (index, error))),
                Ok((line, client_id)) => {
                    if let Some(owner) = owners.insert(client_id.clone(), index) {
                        let owner: &Source = &self.sources[owner];
                        let message = format!("{} is taken by {}", quoted(&client_id), owner.name);
                        let error = ValueError::new(message, "remove one of the two files").at(line);
                        self.errors.push((index, error.under("client_id")));
                    }
                    documents.push((index, ClientDocument { client_id: leak(client_id), json: leak(json) }));
                }
            }
        }
        documents
    }

    /// Reads a file relative to the site's file; `None` when it cannot be read.
    fn read_source(&mut self, file: &Path) -> Option<usize> {
        let name = folder(self.config).join(file);
        let label = if self.config.is_absolute() { file } else { &name };
        let path = self.root.join(&name);
        let (source, unreadable) = Source::read(&path, &name, label);
        let index = self.sources.len();
        self.watched.push(path);
        self.sources.push(source);
        match unreadable {
            Some(error) => {
                self.errors.push((index, error));
                None
            }
            None => Some(index),
        }
    }

    fn compiled(
        self,
        definition: &Definition,
        routes: &[(usize, PartialRoute)],
        documents: &[(usize, ClientDocument)],
    ) -> Compiled {
        let label = |index: usize| self.sources[index].label.as_str();
        let routes: Vec<_> =
            routes.iter().filter_map(|(index, route)| Some((label(*index), route.route?))).collect();
        let documents: Vec<_> =
            documents.iter().map(|(index, document)| (label(*index), *document)).collect();
        let rust = emit::Rust {
            file: label(0),
            site: definition,
            routes: &routes,
            documents: &documents,
            digest: &digest(&self.sources),
        };
        let rust = rust.to_string();
        let routes = routes.into_iter().map(|(_, route)| route).collect();
        let documents = documents.into_iter().map(|(_, document)| document).collect();
        let mut watched = self.watched;
        watched.sort();
        watched.dedup();
        Compiled { rust, routes, documents, watched }
    }

    fn problems(mut self) -> Problems {
        self.errors.sort_by_key(|(index, error)| (*index, error.line));
        Problems(
            self.errors.into_iter().map(|(index, error)| error.in_file(&self.sources[index].name)).collect(),
        )
    }
}

fn folder(config: &Path) -> &Path {
    config.parent().unwrap_or(Path::new(""))
}

/// SHA-256 of labels and contents of the files, each prefixed with its length, in lower-case hex.
fn digest(sources: &[Source]) -> String {
    let mut hash = Sha256::new();
    for part in sources.iter().flat_map(|source| [&source.label, &source.text]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    base16ct::lower::encode_string(&hash.finalize())
}
