# The sites that can be built: config.yaml, which is the site of developers, and each file in environments/ under its own
# name. What a site includes is in routes/, clients/ or in the folder of its name beside it.
{ lib }:

let
  folder = ./environments;
  shared = [
    ../routes
    ../clients
  ];
  isSite = file: type: type == "regular" && lib.hasSuffix ".yaml" file;
  files = lib.attrNames (lib.filterAttrs isSite (builtins.readDir folder));

  environment =
    file:
    let
      name = lib.removeSuffix ".yaml" file;
      own = folder + "/${name}";
    in
    lib.nameValuePair name {
      site = folder + "/${file}";
      routes = shared ++ lib.optional (builtins.pathExists own) own;
    };
in
{
  development = {
    site = ../config.yaml;
    routes = shared;
  };
}
// lib.listToAttrs (map environment files)
