# shellcheck shell=bash
# Sourced by script/lab, script/test and script/bench.

# find_python NAME: prints the path of a Python of 3.11 or later, Debian's own first. As root it installs one when there is
# none; NAME is who says so.
find_python() {
  local install='apt-get update && apt-get install -y --no-install-recommends python3'
  _newest_python && return
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && ! command -v /usr/bin/python3 >/dev/null; then
    echo "Installing Python ..." >&2
    DEBIAN_FRONTEND=noninteractive bash -c "$install" >&2 && _newest_python && return
  fi
  echo "$1: needs Python 3.11 or later, which Debian has since release 12. As root: $install" >&2
  return 1
}

_newest_python() {
  local command
  for command in /usr/bin/python3 python3.15 python3.14 python3.13 python3.12 python3.11 python3; do
    if "$command" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$command"
      return
    fi
  done
  return 1
}
