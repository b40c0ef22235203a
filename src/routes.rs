//! The compiled site: `config.yaml` and `routes/` as constants, written by `build.rs`.

#![expect(clippy::unreadable_literal, reason = "generated: numbers stand as they are in the configuration")]

include!(concat!(env!("OUT_DIR"), "/site.rs"));
