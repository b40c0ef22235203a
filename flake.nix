{
  description = "An OAuth 2.1 gateway that puts MCP servers behind Okta";

  # The stable channel: its compiler is the version that Cargo.toml requires; nix/package.nix fails if it is not.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      eachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});

      sites = import ./nix/sites.nix { inherit lib; };
      gateways = pkgs: lib.mapAttrs (_: site: pkgs.callPackage ./nix/package.nix site) sites;
      images =
        pkgs:
        lib.mapAttrs (_: gateway: pkgs.callPackage ./nix/image.nix { inherit gateway; }) (gateways pkgs);
      named = prefix: lib.mapAttrs' (name: lib.nameValuePair "${prefix}-${name}");
    in
    {
      packages = eachSystem (
        pkgs:
        named "gateway" (gateways pkgs)
        // named "image" (images pkgs)
        // {
          default = (gateways pkgs).development;
        }
      );

      checks = eachSystem (
        pkgs:
        import ./nix/checks.nix {
          inherit lib pkgs;
          gateways = gateways pkgs;
          module = self.nixosModules.default;
        }
      );

      devShells = eachSystem (pkgs: {
        default = pkgs.callPackage ./nix/devShell.nix { };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree);

      overlays.default = final: _: {
        securemcp-okta-gateway = final.callPackage ./nix/package.nix { };
      };

      nixosModules.default = ./nix/module.nix;
    };
}
