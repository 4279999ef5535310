#!/bin/sh
# Sets up an AArch64 Python (Debian's own, with numpy and pytest) that runs under qemu-user on a Debian 12 machine of
# another architecture, plus what is needed to cross-build extension modules for it. See README.md.
# Safe to run again: steps already done are skipped.
#
#   setup.sh [DIR]        default DIR: ./arm64
#
# environment: PIP_PACKAGES  requirements that go in besides numpy and pytest (default: nothing)
#              HOST_PYTHON   python with pip used to fetch wheels (default: python3)
set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
D=${1:-arm64}
PY=${HOST_PYTHON:-python3}
say() { echo "arm64-python: $*" >&2; }

# 1. tools of the host
for tool in apt-get dpkg-deb; do
    command -v $tool >/dev/null 2>&1 || {
        say "$tool is missing: this takes Debian 12's arm64 packages through apt and needs a Debian 12 machine"
        exit 1
    }
done
sh "$HERE/host-tools.sh"
mkdir -p "$D"
D=$(cd "$D" && pwd)
ROOT=$D/root

# 2. arm64 packages, through the machine's own apt sources (only the Debian ones), unpacked, not installed
apt64() {
    tool=$1
    shift
    "$tool" -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State="$D/apt/state" \
        -o Dir::State::status="$D/apt/status" -o Dir::Cache="$D/apt/cache" \
        -o Dir::Etc::SourceList="$D/apt/sources.list" -o Dir::Etc::SourceParts="$D/apt/parts" \
        -o APT::Sandbox::User=root -o Debug::NoLocking=true -o Acquire::Languages=none \
        -o APT::Install-Recommends=false -o Dpkg::Use-Pty=0 "$@" </dev/null
}
VER=3.11 # of Debian 12
PKGS="python$VER-minimal libpython$VER-stdlib libpython$VER-dev libc6 libstdc++6 libgcc-s1 libgomp1 zlib1g libffi8"
stamp=$D/.packages
if [ "$(cat "$stamp" 2>/dev/null)" != "$PKGS" ]; then
    mkdir -p "$D/apt/state/lists/partial" "$D/apt/cache/archives/partial" "$D/apt/parts" "$ROOT"
    : > "$D/apt/status"
    : > "$D/apt/sources.list"
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$f" ] && grep -hE '^deb .*/debian(-security)?/? ' "$f" >> "$D/apt/sources.list" || :
    done
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -f "$f" ] && grep -qE '^URIs:.*/debian(-security)?/?([[:space:]]|$)' "$f" && cp "$f" "$D/apt/parts/" || :
    done
    say "fetching arm64 packages"
    apt64 apt-get update
    # shellcheck disable=SC2086
    apt64 apt-get install -y --download-only $PKGS || {
        say "this machine's apt sources do not offer Debian 12's arm64 packages: $PKGS"
        exit 1
    }
    say "unpacking $(find "$D/apt/cache/archives" -name '*.deb' | wc -l) packages"
    for f in "$D"/apt/cache/archives/*.deb; do
        dpkg-deb -x "$f" "$ROOT"
    done
    rm -rf "$D/apt/cache"
    # absolute links inside the root are meant for a chroot; make the few that matter relative
    find "$ROOT" -type l -lname '/*' 2>/dev/null | while read -r l; do
        t=$(readlink "$l")
        if [ -e "$ROOT$t" ]; then ln -sfnr "$ROOT$t" "$l"; fi
    done
    mkdir -p "$ROOT/tmp" "$ROOT/dev"
    echo "$PKGS" > "$stamp"
fi
SITE=$ROOT/usr/local/lib/python$VER/dist-packages
mkdir -p "$SITE"

# qemu shows the host's /proc/cpuinfo, on which pytorch's cpuinfo library (in onnxruntime) crashes. It looks into the
# root first: an ARMv8.0 core that every -cpu can stand for.
mkdir -p "$ROOT/proc"
i=0
while [ $i -lt "$(nproc)" ]; do
    printf '%s\n' "processor : $i" "BogoMIPS : 100.00" "Features : fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid" \
        "CPU implementer : 0x41" "CPU architecture: 8" "CPU variant : 0x0" "CPU part : 0xd03" "CPU revision : 4" ""
    i=$((i + 1))
done > "$ROOT/proc/cpuinfo"

# 3. wheels for aarch64
want="numpy pytest ${PIP_PACKAGES:-}"
stamp=$D/.wheels
if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
    say "fetching wheels: $want"
    plats=
    for p in 28 27 26 24 17; do plats="$plats --platform manylinux_2_${p}_aarch64"; done
    # shellcheck disable=SC2086
    "$PY" -m pip install -q --no-compile --upgrade --target "$SITE" --only-binary=:all: $plats \
        --platform manylinux2014_aarch64 --python-version "$VER" --implementation cp \
        --abi "cp$(echo "$VER" | tr -d .)" --abi abi3 --abi none $want </dev/null
    echo "$want" > "$stamp"
    rm -f "$D/.compiled"
fi
# byte-compile on the host (same magic number for the same minor version): import is much faster for it
if [ ! -e "$D/.compiled" ] && [ "$("$PY" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = "$VER" ]; then
    "$PY" -m compileall -q -j 0 -x '/(test|tests|idlelib|turtledemo|lib2to3)/' \
        "$ROOT/usr/lib/python$VER" "$SITE" >/dev/null 2>&1 || :
    : > "$D/.compiled"
fi
# sys.executable becomes the wrapper below, so that tests may start Python again
cat > "$SITE/zz_arm64_wrapper.pth" <<'PTH'
import os, sys; sys.executable = os.environ.get("ARM64_PYTHON") or sys.executable
PTH

# 4. wrappers
mkdir -p "$D/bin"
cat > "$D/bin/run" <<'RUN'
#!/bin/sh
# run PROGRAM [ARGS]: an arm64 program on the emulator. ARM64_CPU chooses the core (default max,sve=off:
# everything NEON, with dotprod, fp16, i8mm, bf16), e.g. cortex-a53, cortex-a76, max
H=$(cd "$(dirname "$0")/.." && pwd)
exec "$(command -v qemu-aarch64 || command -v qemu-aarch64-static)" -cpu "${ARM64_CPU:-max,sve=off}" -L "$H/root" "$@"
RUN
cat > "$D/bin/python" <<RUN
#!/bin/sh
# the arm64 Python
H=\$(cd "\$(dirname "\$0")/.." && pwd)
export ARM64_PYTHON="\$H/bin/python"
export PYTHONPLATLIBDIR=lib
exec "\$H/bin/run" "\$H/root/usr/bin/python$VER" "\$@"
RUN
cat > "$D/bin/cross" <<RUN
#!/bin/sh
# cross COMMAND...: a host build command (python setup.py build_ext, bdist_wheel, ...) that produces arm64 output.
# Uses the host's python, setuptools and Cython with the target's headers and build settings.
H=\$(cd "\$(dirname "\$0")/.." && pwd)
export _PYTHON_HOST_PLATFORM=linux-aarch64
export _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata_arm64cross
export PYTHONPATH="\$H/cross\${PYTHONPATH:+:\$PYTHONPATH}"
export CC="\${CROSS_CC:-aarch64-linux-gnu-gcc}" AR=aarch64-linux-gnu-ar STRIP=aarch64-linux-gnu-strip
export LDSHARED="\$CC -shared"
export CFLAGS="-I\$H/root/usr/include/python$VER -I\$H/cross/include \${CFLAGS:-}"
exec "\$@"
RUN
chmod +x "$D/bin/run" "$D/bin/python" "$D/bin/cross"
# the target's build settings, less the paths of its build machine
mkdir -p "$D/cross/include/aarch64-linux-gnu"
ln -sfn "../../../root/usr/include/aarch64-linux-gnu/python$VER" "$D/cross/include/aarch64-linux-gnu/python$VER"
cp "$ROOT/usr/lib/python$VER/_sysconfigdata__aarch64-linux-gnu.py" "$D/cross/_sysconfigdata_arm64cross.py"

"$D/bin/python" - <<'PYTHON' >&2
import platform, sys, numpy
print("arm64-python:", sys.version.split()[0], platform.machine(), "numpy", numpy.__version__)
PYTHON
say "ready: $D/bin/python, $D/bin/cross, $D/bin/run"
