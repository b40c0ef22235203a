# The service on two machines: one with the embedded store, one with Redis and another environment's binary.
{ gateways, module }:

{
  name = "securemcp-okta-gateway";

  nodes.embedded = {
    imports = [ module ];
    # In the Nix store, where no real secret may be: these are test values.
    environment.etc."gateway/okta".text = "okta-secret-of-the-test";
    services.securemcp-okta-gateway = {
      enable = true;
      package = gateways.development;
      oktaClientSecretFile = "/etc/gateway/okta";
      settings = {
        OKTA_URL = "https://okta.example.com";
        OKTA_CLIENT_ID = "0oa0example0client0id";
      };
    };
  };

  nodes.replica = {
    imports = [ module ];
    environment.etc = {
      "gateway/okta".text = "okta-secret-of-the-test";
      "gateway/secret".text = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
      "gateway/redis".text = "redis-secret-of-the-test";
    };
    services.redis.servers.gateway = {
      enable = true;
      port = 6379;
      requirePassFile = "/etc/gateway/redis";
    };
    services.securemcp-okta-gateway = {
      enable = true;
      package = gateways.example;
      oktaClientSecretFile = "/etc/gateway/okta";
      gatewaySecretFile = "/etc/gateway/secret";
      kvsPasswordFile = "/etc/gateway/redis";
      settings.KVS_ADDR = "127.0.0.1:6379";
    };
  };

  testScript = builtins.readFile ./module.py;
}
