#!/bin/sh
# host-tools.sh: what it takes to build and run AArch64 Linux programs on this machine: a cross compiler and qemu-user.
# Installs what is missing, or says what to install and fails.
set -eu

need=
command -v qemu-aarch64 >/dev/null 2>&1 || command -v qemu-aarch64-static >/dev/null 2>&1 || need="$need qemu-user"
command -v aarch64-linux-gnu-gcc >/dev/null 2>&1 || need="$need gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
# shellcheck disable=SC2086
[ -z "$need" ] || sh "$(dirname "$0")/../apt-install.sh" $need
