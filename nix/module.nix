# The gateway as a service of NixOS: one binary and the secrets of its environment.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.securemcp-okta-gateway;
  name = "securemcp-okta-gateway";

  # The variable X_FILE of each secret X, and where the file comes from.
  secretFiles = lib.filterAttrs (_: file: file != null) {
    OKTA_CLIENT_SECRET = cfg.oktaClientSecretFile;
    GATEWAY_SECRET = cfg.gatewaySecretFile;
    HTTPS_PROXY = cfg.httpsProxyFile;
    KVS_PASSWORD = cfg.kvsPasswordFile;
    KVS_SENTINEL_PASSWORD = cfg.kvsSentinelPasswordFile;
    KVS_KEY = cfg.kvsKeyFile;
  } // cfg.upstreamSecretFiles;
  settings = lib.filterAttrs (_: value: value != null) cfg.settings;
  holdsPassword = import ./module/holds-password.nix;
in
{
  options.services.securemcp-okta-gateway = import ./module/options.nix { inherit lib pkgs; };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.settings.KVS_ADDR != null -> cfg.gatewaySecretFile != null;
        message = "services.${name}: replicas on Redis must share one secret: set gatewaySecretFile";
      }
      {
        assertion = cfg.kvsPasswordFile != null -> cfg.settings.KVS_ADDR != null;
        message = "services.${name}: kvsPasswordFile is a password for nothing: set settings.KVS_ADDR";
      }
      {
        assertion = (cfg.kvsKeyFile != null) == (cfg.settings.KVS_CERT_FILE != null);
        message = "services.${name}: kvsKeyFile and settings.KVS_CERT_FILE belong together: set both or neither";
      }
      {
        # The settings are in the Nix store, which every user of the machine can read.
        assertion = cfg.settings.KVS_ADDR != null -> !holdsPassword cfg.settings.KVS_ADDR;
        message = "services.${name}: settings.KVS_ADDR holds a password: put it into kvsPasswordFile";
      }
      {
        assertion = cfg.settings.HTTPS_PROXY != null -> !holdsPassword cfg.settings.HTTPS_PROXY;
        message = "services.${name}: settings.HTTPS_PROXY holds a password: put the URL into httpsProxyFile";
      }
    ];

    systemd.services.${name} = {
      description = "OAuth gateway that puts MCP servers behind Okta";
      wantedBy = [ "multi-user.target" ];
      # It starts without Okta and without Redis, and waits for them: no ordering is needed.
      after = [ "network.target" ];

      environment =
        lib.mapAttrs (_: toString) settings
        // lib.mapAttrs' (secret: _: lib.nameValuePair "${secret}_FILE" "%d/${secret}") secretFiles
        // {
          DATA_DIR = "%S/${name}";
        };

      serviceConfig = import ./module/hardening.nix // {
        ExecStart = lib.getExe cfg.package;
        Type = "exec";
        Restart = "on-failure";
        RestartSec = 5;
        # `shutdown.timeout` of the site, 25 s, and 15 s for responses of Okta that must be stored; the log and the store
        # take a little more.
        TimeoutStopSec = 45;
        # 9000 connections, each with one to an MCP server behind it.
        LimitNOFILE = 32768;

        DynamicUser = true;
        StateDirectory = name;
        StateDirectoryMode = "0700";
        LoadCredential = lib.mapAttrsToList (secret: file: "${secret}:${file}") secretFiles;
      };
    };
  };
}
