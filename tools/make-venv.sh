#!/bin/sh
# make-venv.sh PYTHON DIR: a virtual environment in DIR that can compile extension modules. What PYTHON lacks for that
# (venv, Python.h, a C compiler) comes from apt where PYTHON is Debian's own and apt can be used.
set -eu

PY=$1
DIR=$2
HERE=$(cd "$(dirname "$0")" && pwd)

fail() { printf 'make-venv: %s\n' "$@" >&2; exit 1; }
has_venv() { "$PY" -c 'import ensurepip, venv' 2>/dev/null; }
has_header() {
    "$PY" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
}
has_cc() { command -v "${CC:-cc}" >/dev/null 2>&1; }

command -v "$PY" >/dev/null 2>&1 || fail "no $PY here: install Python 3.9 or newer, or use make PYTHON=/path/to/python3"
"$PY" -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
    fail "$("$PY" --version) is too old: 3.9 or newer is needed"

need=
has_venv || need="$need python3-venv"
has_header || need="$need python3-dev"
has_cc || need="$need gcc libc6-dev"
if [ -n "$need" ]; then
    case $("$PY" -c 'import os, sys; print(os.path.realpath(sys.executable))') in
    /usr/bin/*) # Debian's own: its packages help
        # shellcheck disable=SC2086
        sh "$HERE/apt-install.sh" $need ;;
    esac
    has_venv || fail "$PY has no venv module (Debian: python3-venv)"
    has_header || fail "$PY comes without Python.h (Debian: python3-dev)"
    has_cc || fail "no C compiler ${CC:-cc} (Debian: gcc libc6-dev)"
fi
"$PY" -m venv "$DIR"
