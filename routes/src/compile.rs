//! From YAML to Rust: being written.
