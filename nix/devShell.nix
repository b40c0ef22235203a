# What `make check`, `make test` and `make bench` need: tests/setup.sh finds all of it here, and installs nothing but the clients that
# their locks name.
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
