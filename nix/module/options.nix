# Options of the service. A secret is given as the name of a file that is not in the Nix store.
{ lib, pkgs }:

let
  inherit (lib) mkEnableOption mkOption types;

  variable =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
  # A file that every user of the machine can read is not for secrets: the type rejects the Nix store.
  secretFile = types.externalPath;
in
{
  enable = mkEnableOption "the Secure MCP Okta Gateway";

  package = mkOption {
    type = types.package;
    default = pkgs.callPackage ../package.nix { };
    defaultText = lib.literalMD "the binary of `config.yaml`";
    example = lib.literalExpression "inputs.gateway.packages.x86_64-linux.gateway-production";
    description = "The binary of this machine's environment: its site and its routes are compiled in.";
  };

  oktaClientSecretFile = mkOption {
    type = secretFile;
    example = "/run/secrets/okta-client-secret";
    description = "File that holds the client secret of the gateway's app in Okta.";
  };

  gatewaySecretFile = mkOption {
    type = types.nullOr secretFile;
    default = null;
    example = "/run/secrets/gateway-secret";
    description = ''
      File that holds `GATEWAY_SECRET`, at least 32 random bytes as hex or base64url: `openssl rand -hex 32`. Needed
      with Redis, where all replicas have the same. Without it the embedded store makes one and keeps it.
    '';
  };

  kvsPasswordFile = mkOption {
    type = types.nullOr secretFile;
    default = null;
    example = "/run/secrets/kvs-password";
    description = "File that holds the password of Redis.";
  };

  kvsSentinelPasswordFile = mkOption {
    type = types.nullOr secretFile;
    default = null;
    example = "/run/secrets/kvs-sentinel-password";
    description = "File that holds the password of the Sentinels, where they have one.";
  };

  kvsKeyFile = mkOption {
    type = types.nullOr secretFile;
    default = null;
    example = "/run/secrets/kvs-key.pem";
    description = "File that holds the private key of the client certificate `settings.KVS_CERT_FILE`, as PEM.";
  };

  httpsProxyFile = mkOption {
    type = types.nullOr secretFile;
    default = null;
    example = "/run/secrets/https-proxy";
    description = ''
      File that holds `HTTPS_PROXY` with a user and a password, where the egress proxy wants them.
    '';
  };

  upstreamSecretFiles = mkOption {
    type = types.attrsOf secretFile;
    default = { };
    example = {
      NOTION_TOKEN = "/run/secrets/notion-token";
    };
    description = ''
      Files that hold the variables of `upstream_headers` and `egress_proxy`, by the names of the variables.
    '';
  };

  settings = mkOption {
    default = { };
    description = ''
      What the site leaves open, as environment variables. One that contradicts what the site pins stops the start:
      the binary belongs to its environment. No secrets here: they would be in the store.
    '';
    type = types.submodule {
      options = {
        BASE_URL = variable types.str "The gateway's own origin, such as `https://mcp.example.com`.";
        HTTPS_PROXY = variable types.str ''
          The HTTP proxy of requests to Okta, without a password; see `httpsProxyFile`.
        '';
        KVS_ADDR = variable types.str ''
          Redis or Valkey, as `host:port` or a URL without a password; unset: the embedded store, in
          `/var/lib/securemcp-okta-gateway`.
        '';
        KVS_CA_FILE = variable types.path ''
          PEM file of the certificate authority that Redis is checked against; those of the web when unset. Readable for
          every user, and not below `/home`: the service has a user of its own.
        '';
        KVS_CERT_FILE = variable types.path ''
          PEM file of the certificate that is shown to Redis; readable as `KVS_CA_FILE` is.
        '';
        KVS_SENTINEL_USER = variable types.str "ACL user of the Sentinels; the default user when unset.";
        LOG_FORMAT = variable (types.enum [
          "json"
          "pretty"
        ]) "Format of the logs; `json` when unset.";
        NO_PROXY = variable types.str "Hosts that are connected to directly, separated by commas.";
        OKTA_CLIENT_ID = variable types.str "The client id of the gateway's app in Okta.";
        OKTA_REDIRECT_URI = variable types.str ''
          Where Okta sends the browser back; `BASE_URL` + `/auth/callback` when unset.
        '';
        OKTA_URL = variable types.str "The Okta org, such as `https://acme.okta.com`.";
        PORT = variable (types.ints.between 1024 65535) ''
          The port to listen on; 8080 when unset. The service may not use those below 1024.
        '';
        RUST_LOG = variable types.str "What is logged, as `tracing` filters it.";
        STORE_FORMAT = variable types.ints.positive ''
          The format of what is stored, raised once every replica runs a release that knows it.
        '';
      };
    };
  };
}
