#!/bin/sh
# Runs on a compute of the lab: libvirt and QEMU, as a host of guests has them, and what makes the demo guest.
set -eu
packages='qemu-system-x86 libvirt-daemon-system libvirt-clients binutils python3-libvirt python3-lxml'
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
dpkg-query --show $packages >/dev/null 2>&1 || apt-get -q -y install --no-install-recommends $packages
