# The sites that can be built: config.yaml, which is the site of developers, and each file in environments/ under its own
# name. What a site includes is in routes/ or in the folder of its name beside it.
{ lib }:

let
  folder = ./environments;
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
      routes = [ ../routes ] ++ lib.optional (builtins.pathExists own) own;
    };
in
{
  development = {
    site = ../config.yaml;
    routes = [ ../routes ];
  };
}
// lib.listToAttrs (map environment files)
