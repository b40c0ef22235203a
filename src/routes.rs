//! The compiled site: `config.yaml` and `routes/` as constants, written by `build.rs`.

mod compiled {
    include!(concat!(env!("OUT_DIR"), "/site.rs"));
}

pub use compiled::SITE;
