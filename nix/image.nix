# A container image of one environment: the binary, what it links, the public certificate authorities, and an empty folder
# for the embedded store.
# The package is a program that writes the image to its output: `$(nix build … --print-out-paths) | docker load`.
{
  cacert,
  dockerTools,
  lib,
  gateway,
}:

let
  # An unprivileged id, the same in every image, so that a volume stays readable.
  user = "65532";
in
dockerTools.streamLayeredImage {
  name = gateway.pname;
  fakeRootCommands = "install --directory --mode=0700 --owner=${user} --group=${user} data";
  config = {
    Entrypoint = [ (lib.getExe gateway) ];
    Env = [
      "DATA_DIR=/data"
      "SSL_CERT_FILE=${cacert}/etc/ssl/certs/ca-bundle.crt"
    ];
    User = "${user}:${user}";
  };
}
