#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Files as C: tools/embed.sh PATH=FILE... prints the table that plugins/rabbitmq/http/assets.h declares. Each
# PATH is what the bridge's web server answers with that FILE; its type follows from the file's name.
set -euo pipefail

type_of() {
  case $1 in
  *.html) echo 'text/html; charset=utf-8' ;;
  *.css) echo 'text/css; charset=utf-8' ;;
  *.js) echo 'text/javascript; charset=utf-8' ;;
  *.svg) echo 'image/svg+xml' ;;
  *.txt) echo 'text/plain; charset=utf-8' ;;
  *)
    echo "embed: $1: no type for such a name" >&2
    return 1
    ;;
  esac
}

echo '/* Made by tools/embed.sh. */'
echo '#include "assets.h"'
table=''
index=0
for pair; do
  file=${pair#*=}
  type=$(type_of "$file")
  echo "static const unsigned char asset_${index}[] = {"
  od -An -v -tu1 -w32 "$file" | sed 's/[0-9]\{1,\}/&,/g'
  echo '};'
  table+="    {\"${pair%%=*}\", \"$type\", asset_$index, sizeof asset_$index},"$'\n'
  index=$((index + 1))
done
printf 'const struct idem_asset idem_assets[] = {\n%s};\n' "$table"
echo "const size_t idem_asset_count = $index;"
