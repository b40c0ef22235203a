# The gateway of one environment: the site is compiled in, so that each has a binary of its own.
{
  lib,
  rustPlatform,
  rustc,
  stdenv,
  # The site's file, here or in another repository.
  site ? ../config.yaml,
  # The folders with the YAML and JSON files that it may name. Those of a site elsewhere are below its own folder.
  routes ? [
    ../routes
    ../clients
  ],
}:

let
  inherit (lib) fileset;

  manifest = lib.importTOML ../Cargo.toml;
  inherit (manifest.package) name;
  inherit (manifest.workspace.package) version rust-version;

  # Only what the build reads besides the site: a change to a document or to a test causes no
  # rebuild. Cargo requires that the packages that are never linked exist.
  code = fileset.unions [
    ../Cargo.lock
    ../Cargo.toml
    ../benches/Cargo.toml
    ../benches/src/main.rs
    ../build.rs
    ../demo/Cargo.toml
    ../demo/src/main.rs
    ../routes/Cargo.toml
    ../routes/src
    ../src
    ../tests/standins/Cargo.toml
    ../tests/standins/src/lib.rs
  ];

  root = ../.;
  isHere = lib.path.hasPrefix root site;
  named = fileset.fileFilter (file: file.hasExt "yaml" || file.hasExt "json");
  # The tests of the routes' compiler contain sites that are not environments.
  siteFiles = fileset.difference (fileset.unions ([ site ] ++ map named routes)) ../routes/tests;
  elsewhere = fileset.toSource {
    root = dirOf site;
    fileset = siteFiles;
  };
in

assert lib.assertMsg (lib.versionAtLeast rustc.version rust-version)
  "${name} needs Rust ${rust-version}, and this nixpkgs has ${rustc.version}: take a newer one";

rustPlatform.buildRustPackage {
  pname = name;
  inherit version;

  src = fileset.toSource {
    inherit root;
    fileset = if isHere then fileset.union code siteFiles else code;
  };
  # Every crate is fetched by the checksum that Cargo.lock has: no hash to update.
  cargoLock.lockFile = ../Cargo.lock;

  # A relative name here, as a developer would write it: it is part of the digest that --version prints.
  env.GATEWAY_CONFIG =
    if isHere then
      lib.removePrefix "./" (lib.path.removePrefix root site)
    else
      "${elsewhere}/${baseNameOf site}";

  # The largest page of the kernels that it runs on, which is fixed when jemalloc is built: 64 KiB on some for ARM.
  env.JEMALLOC_SYS_WITH_LG_PAGE = if stdenv.hostPlatform.isAarch64 then "16" else "12";

  # The profile that ships. Its `strip` is left to Nix, so it is repeated here.
  buildType = "dist";
  stripAllList = [ "bin" ];
  cargoBuildFlags = [
    "--locked"
    "--bin=${name}"
  ];
  # The tests need browsers, stores and clients of MCP: `cargo test`, not Nix, runs them.
  doCheck = false;

  passthru = { inherit site; };

  meta = {
    inherit (manifest.package) description;
    license = lib.licenses.mit;
    mainProgram = name;
    platforms = lib.platforms.linux;
  };
}
