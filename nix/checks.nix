# `nix flake check`: every environment builds and reports its own name, the unit runs in a virtual machine, and
# these files are formatted.
{
  lib,
  pkgs,
  gateways,
  module,
}:

let
  # A binary that names another environment than its site would be trusted with that one's secrets.
  labelled =
    name: gateway:
    pkgs.runCommand "gateway-${name}-reports-its-name" { nativeBuildInputs = [ pkgs.yq-go ]; } ''
      label=$(yq '.environment // "development"' ${gateway.site})
      ${lib.getExe gateway} --version | tee version
      grep --fixed-strings "${gateway.pname} ${gateway.version} ($label, configuration " version
      ${lib.getExe gateway} routes | tee routes
      grep --quiet '^/' routes
      touch $out
    '';

  holdsPassword = import ./module/holds-password.nix;
  withPassword = [
    "redis://:word@kv:6379"
    "redis://user:word@kv"
    "redis://:p/w@kv"
    "redis://:p://w@kv"
    "redis://u/r:word@kv"
    "rediss-sentinel://:p@w@kv:26379,kv2:26379/primary"
    "user:word@kv:6379"
  ];
  withoutPassword = [
    "kv:6379"
    "redis://kv:6379/1"
    "redis://user@kv:6379"
    "user@kv:6379"
    "redis-sentinel://user@kv:26379,kv2:26379/primary"
    "redis-cluster://kv:6379,kv2:6379"
  ];

  nixFiles = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../flake.nix
      (lib.fileset.fileFilter (file: file.hasExt "nix") ./.)
    ];
  };
in
lib.mapAttrs' (name: lib.nameValuePair "gateway-${name}") (lib.mapAttrs labelled gateways)
// {
  module = pkgs.testers.runNixOSTest (import ./tests/module.nix { inherit gateways module; });

  every-password-is-seen =
    assert lib.all holdsPassword withPassword;
    assert !lib.any holdsPassword withoutPassword;
    pkgs.emptyFile;

  nix-files =
    pkgs.runCommand "nix-files-are-tidy"
      {
        nativeBuildInputs = [
          pkgs.deadnix
          pkgs.nixfmt
        ];
      }
      ''
        find ${nixFiles} -name '*.nix' -exec nixfmt --check {} +
        deadnix --fail ${nixFiles}
        touch $out
      '';
}
