#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian packages out of the tree as it stands, in build/deb: packaging/deb.sh. With lintian, where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/deps.sh build package
version=$(sed -n 's/^.define IDEM_VERSION *"\(.*\)"/\1/p' common/include/idem/version.h)
sed -n 1p packaging/debian/changelog | grep -qF "idem ($version" || {
  echo "deb: packaging/debian/changelog has another version than $version" >&2
  exit 1
}
place=build/deb/idem-$version
rm -rf build/deb
mkdir -p "$place"
# What git has, or would have: no build/, nothing private.
git -c safe.directory="$PWD" ls-files -z --cached --others --exclude-standard --deduplicate |
  { while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done; } |
  tar -c --null -T - | tar -x -C "$place" --no-same-owner
mv "$place/packaging/debian" "$place/debian"
echo "deb: building in a copy of the tree, which takes about a minute; the log is build/deb/log"
(cd "$place" && DEB_BUILD_OPTIONS="parallel=$(nproc)" dpkg-buildpackage -us -uc -b) >build/deb/log 2>&1 || {
  tail -n 40 build/deb/log >&2
  exit 1
}
# The maintainer's address is one that nobody has: who publishes packages puts in their own.
lintian --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog --fail-on error --allow-root build/deb/*.changes
ls build/deb/*.deb
