#!/bin/sh
# apt-install.sh PACKAGE...: installs Debian packages where that is possible (root, or sudo without a password);
# otherwise says what to install and fails.
set -eu

fail() { printf '%s\n' "$1" "Please install, then try again:" "    $2" >&2; exit 1; }

command -v apt-get >/dev/null 2>&1 ||
    fail "This machine has no apt-get, so these Debian packages (or their like) cannot be installed from here." "$*"
SUDO=
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        SUDO="sudo -n"
    else
        fail "Not root, and no sudo without a password." "sudo apt-get install $*"
    fi
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    $SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" </dev/null >"$log" 2>&1
}
echo "installing Debian packages: $*" >&2
# Targets of make that run at once take turns; apt-get itself does not wait.
if command -v flock >/dev/null 2>&1; then
    exec 9>"${TMPDIR:-/tmp}/sparse-runtime-apt.lock"
    flock 9
fi
# Package lists may be missing or old: fetch them only then.
install "$@" || { $SUDO apt-get update -q </dev/null >"$log" 2>&1 && install "$@"; } || {
    tail -n 20 "$log" >&2
    fail "apt-get could not install the packages." "sudo apt-get update && sudo apt-get install $*"
}
