# SPDX-License-Identifier: MIT
# Who may include whom. Input: `FILE:#include <X>` lines; output: one line for each include that points
# upwards. Dependencies point one way only, so that each layer can be read and tested without the next.

BEGIN {
  count = split("base key result decide store receiver config", order, " ")
  for (i = 1; i <= count; i++) { rank[order[i]] = i }

  split("span error clock log version", names, " ");       for (i in names) { layer[names[i]] = "base" }
  split("digest message number rule identity parameter", names, " "); for (i in names) { layer[names[i]] = "key" }
  layer["result"] = "result"; layer["verdict"] = "decide"; layer["store"] = "store"; layer["transfer"] = "store"
  layer["receiver"] = "receiver"; layer["inbox"] = "receiver"; layer["sightings"] = "receiver"
  layer["ticket"] = "receiver"; layer["config"] = "config"
}

# The layer of a private header ("store/table.h") or of a public one (<idem/rule.h>); else "".
function layer_of(header,    parts) {
  split(header, parts, "/")
  if (parts[1] != "idem") { return parts[1] in rank ? parts[1] : "" }
  sub(/\.h$/, "", parts[2])
  if (parts[2] == "idem") { return "config" } # the one that includes all the others
  if (parts[2] in layer) { return layer[parts[2]] }
  print "layers.awk: give <" header "> a layer"
  return ""
}

{
  file = substr($0, 1, index($0, ":") - 1)
  header = $0
  sub(/^[^<"]*[<"]/, "", header)
  sub(/[>"].*$/, "", header)

  split(file, path, "/")
  if (path[1] == "common") {
    if (header ~ /mosquitto|mqtt_protocol|^(plugins|tools|tests)\//) {
      print file ": the core knows no broker and no program: " header
    }
    own = path[2] == "include" ? layer_of(path[3] "/" path[4]) : path[2]
    if (!(own in rank)) {
      print file ": layers.awk knows no layer " own
    } else if (layer_of(header) != "" && rank[layer_of(header)] > rank[own]) {
      print file ": " own " may not include " layer_of(header) ": " header
    }
  } else if (path[1] == "plugins" || path[1] == "tools") {
    if (header ~ /^(base|key|result|decide|store|receiver|config|plugins|tools|tests)\//) {
      print file ": a program uses the public headers only: " header
    }
  }
}
