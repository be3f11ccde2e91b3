#!/usr/bin/env bash
# Vagrant runs this before it makes the machines: the bundle for Debian 12 has to be in ../dist.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if grep -q '^ID=debian$' /etc/os-release 2>/dev/null && grep -q '^VERSION_ID="12"$' /etc/os-release; then
  exec script/bundle
fi
bundles=(dist/porthole-*-debian12-py3.11-*.tar.gz)
if [ ! -e "${bundles[0]}" ]; then
  echo "There is no bundle for Debian 12 in dist/. Run script/bundle on a Debian 12 machine or in a container of it, with" \
    "this checkout, and put the two files that it makes there." >&2
  exit 1
fi
