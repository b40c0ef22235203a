# The tools for `make check`, `make test` and `make bench`: tests/setup.sh finds all of them here, and installs only the
# clients that are pinned by their lock files.
{
  cargo,
  cargo-deny,
  chromium,
  clippy,
  deadnix,
  mkShell,
  nghttp2,
  nginx,
  nixfmt,
  nodejs,
  python3,
  redis,
  rustc,
  rustfmt,
  util-linux,
  valgrind,
  valkey,
  wrk,
}:

mkShell {
  packages = [
    cargo
    cargo-deny
    chromium
    clippy
    deadnix
    nghttp2
    nginx
    nixfmt
    nodejs
    python3
    redis
    rustc
    rustfmt
    util-linux
    valgrind
    valkey
    wrk
  ];
}
