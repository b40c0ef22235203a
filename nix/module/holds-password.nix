# Whether a KVS_ADDR holds a password, as the gateway parses it: after the scheme, a colon before the last @.
address:
let
  rest = builtins.elemAt (builtins.match "([^:]*://)?(.*)" address) 1;
in
builtins.match ".*:.*@.*" rest != null
