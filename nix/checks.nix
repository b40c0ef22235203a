# `nix flake check`: every environment builds and is the one it says, the unit holds in a virtual machine, and
# these files are tidy.
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
    pkgs.runCommand "gateway-${name}-says-what-it-is" { nativeBuildInputs = [ pkgs.yq-go ]; } ''
      label=$(yq '.environment // "development"' ${gateway.site})
      ${lib.getExe gateway} --version | tee version
      grep --fixed-strings "${gateway.pname} ${gateway.version} ($label, configuration " version
      ${lib.getExe gateway} routes | tee routes
      grep --quiet '^/' routes
      touch $out
    '';

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
