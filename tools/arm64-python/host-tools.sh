#!/bin/sh
# host-tools.sh [aarch64|armv7]...: what it takes to build and run ARM Linux programs on this machine: qemu-user, and a
# cross compiler for each kind named (default: aarch64). Installs what is missing, or says what to install and fails.
set -eu

need=
for kind in "${@:-aarch64}"; do
    case $kind in
        aarch64) qemu=qemu-aarch64 triple=aarch64-linux-gnu libc=libc6-dev-arm64-cross ;;
        armv7) qemu=qemu-arm triple=arm-linux-gnueabihf libc=libc6-dev-armhf-cross ;;
        *) echo "host-tools.sh: $kind is neither aarch64 nor armv7" >&2; exit 2 ;;
    esac
    command -v $qemu >/dev/null 2>&1 || command -v $qemu-static >/dev/null 2>&1 || need="$need qemu-user"
    command -v $triple-gcc >/dev/null 2>&1 || need="$need gcc-$triple $libc"
done
# shellcheck disable=SC2086
[ -z "$need" ] || sh "$(dirname "$0")/../apt-install.sh" $need
