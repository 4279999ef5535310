#!/bin/sh
# setup.sh PYTHON: the runtimes to compare with. What can share .venv comes with the extra `peers`; two want an
# environment of their own. What does not install here is left out; the report says so.
set -u
cd "$(dirname "$0")/../.."
PY=$1
PIP="-m pip install -q --disable-pip-version-check"

# shellcheck disable=SC2086
.venv/bin/python $PIP --no-build-isolation -e ".[bench,peers]" || exit 1

# venv DIR MAX: a virtual environment of the first Python at hand up to version 3.MAX
venv() {
    for python in "$PY" python3.13 python3.12 python3.11 python3.10 python3.9; do
        "$python" -c "import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, $2))" 2>/dev/null &&
            "$python" -m venv "$1" && return
    done
    echo "setup: no Python up to 3.$2 with venv for $1" >&2
    return 1
}

# The onnx that the last DeepSparse was built with wants numpy 1. pnnx needs torch only for its Python part, not for its
# program.
# shellcheck disable=SC2086
{ [ -e build/deepsparse/.ready ] || {
    venv build/deepsparse 11 && build/deepsparse/bin/python $PIP "deepsparse==1.8.0" "numpy<2" &&
        touch build/deepsparse/.ready; }; } ||
    echo "setup: DeepSparse is left out" >&2
# shellcheck disable=SC2086
{ [ -e build/ncnn/.ready ] || {
    venv build/ncnn 13 && build/ncnn/bin/python $PIP ncnn onnx && build/ncnn/bin/python $PIP --no-deps pnnx &&
        touch build/ncnn/.ready; }; } || echo "setup: ncnn is left out" >&2
