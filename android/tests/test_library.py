"""What the library for Android needs and shows, on a build with the cross compiler: there is no NDK here, but the same
sources need the same functions, which glibc calls by other names now and then."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from host import ROOT, built

# glibc's names for what bionic calls otherwise, or has only inside.
SAME_AS = {
    "__errno_location": "__errno",
    "__assert_fail": "__assert2",
    "__getauxval": "getauxval",  # libgcc's, to choose atomics; the NDK's runtime asks getauxval
    "__isoc99_sscanf": "sscanf",
    "__isoc99_fscanf": "fscanf",
    "__isoc23_sscanf": "sscanf",
    "__isoc23_fscanf": "fscanf",
    "__isoc23_strtol": "strtol",
    "__isoc23_strtoul": "strtoul",
    "__isoc23_strtoll": "strtoll",
    "__isoc23_strtoull": "strtoull",
    "fopen64": "fopen",  # _FILE_OFFSET_BITS=64, which 64-bit bionic has under the plain names
}


def read_elf(*args):
    return subprocess.run(["readelf", "-W", *args], capture_output=True, text=True, check=True).stdout


def symbols(path):
    """(names that must be found elsewhere, names shown)."""
    needed, shown = set(), set()
    for line in read_elf("--dyn-syms", str(path)).splitlines():
        fields = line.split()
        if len(fields) < 8 or not fields[0].endswith(":") or fields[4] not in ("GLOBAL", "WEAK"):
            continue
        name = fields[7].split("@")[0]
        if fields[6] == "UND":
            if fields[4] == "GLOBAL":
                needed.add(name)
        else:
            shown.add(name)
    return needed, shown


def android_has():
    lines = (Path(__file__).parent / "api24.txt").read_text(encoding="utf-8").splitlines()
    return {name for line in lines if not line.startswith("#") for name in line.split()}


def not_in_android(path):
    needed, _ = symbols(path)
    return {name for name in needed if SAME_AS.get(name, name) not in android_has()}


def declared():
    """The functions of spr.h that a library has to have."""
    header = (ROOT / "csrc/include/spr/spr.h").read_text(encoding="utf-8")
    return set(re.findall(r"^SPR_API [^;(]*?\b(spr_\w+)\(", header, re.MULTILINE))


@pytest.fixture(params=["aarch64", "armv7", "native"])
def library(request):
    return built(request.param)


def test_needs_only_what_api_24_has(library):
    needed, _ = symbols(library)
    assert "mmap" in needed or "mmap64" in needed  # symbols are found at all
    assert not not_in_android(library)


def test_needs_only_libraries_that_android_has(library):
    names = re.findall(r"\(NEEDED\).*\[(.*)\]", read_elf("-d", str(library)))
    assert {name.split(".so")[0] for name in names} <= {"libc", "libm", "libdl", "liblog", "ld-linux-x86-64",
                                                        "ld-linux-aarch64",
                                                      "ld-linux-armhf"}
    assert re.findall(r"\(SONAME\).*\[(.*)\]", read_elf("-d", str(library))) == ["libsparse_runtime.so"]


def test_shows_only_its_entry_and_the_c_api(library):
    _, shown = symbols(library)
    assert shown == {"JNI_OnLoad"} | declared()
    assert "spr_session_run" in shown


def test_layout(library):
    headers = read_elf("-l", str(library))
    aligned = [int(line.split()[-1], 16) for line in headers.splitlines() if line.split()[:1] == ["LOAD"]]
    assert aligned and all(align == 0x4000 for align in aligned)  # loads where pages have 16 kB
    assert not re.search(r"^ *TLS ", headers, re.MULTILINE)  # Android has it from API 29 on
    assert "TEXTREL" not in read_elf("-d", str(library))


def test_traps_are_found(tmp_path):
    """The check above is one: a library that uses what Android got later does not pass it."""
    compiler = shutil.which("cc") or pytest.skip("no cc")
    (tmp_path / "t.c").write_text(
        "#include <stdlib.h>\n#include <threads.h>\n#include <unistd.h>\n#include <errno.h>\n"
        "int t(void *p) { void *q = aligned_alloc(64, 64); free(q); errno = 0; thrd_yield(); "
        "return getentropy(p, 4); }\n",
        encoding="utf-8")
    subprocess.run([compiler, "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", tmp_path / "t.so", tmp_path / "t.c"],
                   check=True)
    assert not_in_android(tmp_path / "t.so") == {"aligned_alloc", "thrd_yield", "getentropy"}
    traps = {"aligned_alloc", "getentropy", "getrandom", "memfd_create", "iconv", "qsort_r", "reallocarray",
             "thrd_create", "mtx_lock",
             "pthread_setaffinity_np", "pthread_getname_np", "strtof_l", "timespec_get", "mallopt", "explicit_bzero"}
    assert not traps & android_has()
