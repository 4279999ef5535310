"""The C library as others link it: what it exports, what it needs, and that its header compiles wherever C does."""
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "csrc/include/spr/spr.h"

# What the library may not do to the program it is part of: print, end it, or hold state outside of its handles.
FORBIDDEN = re.compile(
    r"^(abort|_?exit|_Exit|quick_exit|raise|kill|system|__assert_\w+|stdin|stdout|stderr|v?f?printf|puts|fputs|putchar|"
    r"putc|fputc|perror|v?syslog|signal|sigaction|atexit|setlocale|setenv|putenv|srand|rand|strtok|errno|gmtime|"
    r"localtime|ctime|asctime|__(v?f?printf|stack_chk_guard)\w*_chk)$")
ALLOCATING = re.compile(
    r"^(malloc|calloc|realloc|reallocarray|free|posix_memalign|aligned_alloc|memalign|valloc|strdup|strndup|fopen(64)?|"
    r"fdopen|open_memstream|getline|asprintf|vasprintf|qsort|opendir|getaddrinfo)$")
MAY_ALLOCATE = {"alloc.c.o", "write.c.o"}  # base/alloc.c for all others; model/write.c in conversion


def run(*command, **kwargs):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **kwargs)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def api_functions():
    """Names that spr.h declares with SPR_API."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="utf-8"), flags=re.DOTALL)
    return set(re.findall(r"^SPR_API\b[^;]*?(\w+)\(", text, re.MULTILINE))


def objects(native_build):
    return sorted((native_build / "CMakeFiles/spr_objects.dir/csrc").rglob("*.o"))


def undefined(obj):
    names = (line.split()[-1] for line in run("nm", "--undefined-only", obj).splitlines())
    return {name.partition("@")[0] for name in names}


def test_exports_exactly_the_api(native_build):
    names = run("nm", "--dynamic", "--defined-only", native_build / "libsparse_runtime.so").split("\n")
    exported = {line.split()[-1].partition("@")[0] for line in names if line}
    assert exported == api_functions()
    assert len(exported) > 30


def test_api_functions_say_what_threads_may_do():
    """Each declaration, or the group of declarations it stands in, follows a comment with one of the marks."""
    text = HEADER.read_text(encoding="utf-8")
    comment, missing = "", []
    for part in re.findall(r"/\*.*?\*/|^SPR_API\s[^;]*;|typedef\b|\n\n", text, re.DOTALL | re.MULTILINE):
        if part.startswith("/*"):
            comment = part
        elif part.startswith("SPR_API"):
            if not re.search(r"\[(any thread|one at a time|last)\]", comment):
                missing.append(part.split("(")[0].split()[-1])
        else:
            comment = ""
    assert not missing


def test_does_nothing_behind_the_programs_back(native_build):
    found = {(obj.name, name) for obj in objects(native_build) for name in undefined(obj) if FORBIDDEN.match(name)}
    assert not found
    assert FORBIDDEN.match("printf") and FORBIDDEN.match("__printf_chk") and not FORBIDDEN.match("snprintf")


def test_memory_comes_from_one_place(native_build):
    users = {obj.name for obj in objects(native_build) if any(map(ALLOCATING.match, undefined(obj)))}
    assert users == MAY_ALLOCATE


def test_has_no_global_state(native_build):
    """No object has bytes in a section that is writable when the program runs."""
    state = {}
    for obj in objects(native_build):
        for name, size, flags in re.findall(r"^\s*\[\s*\d+\]\s+(\S+)(?:\s+\S+){3}\s+([0-9a-f]+)\s+\S+\s+([A-Za-z]*)",
                                            run("readelf", "-SW", obj), re.MULTILINE):
            if "W" in flags and int(size, 16) and not name.startswith(".data.rel.ro"):
                state[obj.name, name] = int(size, 16)
    assert not state


STANDARDS = [("cc", "-std=c99"), ("cc", "-std=c11"), ("c++", "-std=c++11"), ("c++", "-std=c++17")]


@pytest.mark.parametrize("compiler,standard", STANDARDS, ids=[s for _, s in STANDARDS])
@pytest.mark.parametrize("family", ["gcc", "clang"])
def test_header_compiles(tmp_path, family, compiler, standard):
    program = {"gcc": {"cc": "gcc", "c++": "g++"}, "clang": {"cc": "clang-19", "c++": "clang++-19"}}[family][compiler]
    if not shutil.which(program):
        pytest.skip(f"no {program}")
    source = tmp_path / ("user.c" if compiler == "cc" else "user.cpp")
    source.write_text("""
        #include <spr/spr.h>
        int use(const char *path);
        int use(const char *path) {
            spr_model *model;
            spr_model_options options;
            spr_session_options session;
            spr_model_options_init(&options);
            spr_session_options_init(&session);
            return spr_model_open(path, &options, &model, NULL) != SPR_OK;
        }\n""", encoding="utf-8")
    flags = ["-Wall", "-Wextra", "-Wshadow", "-Wundef", "-Werror", "-pedantic-errors"]
    flags += ["-Wstrict-prototypes", "-Wmissing-prototypes"] if compiler == "cc" else ["-Wold-style-cast"]
    run(program, standard, *flags, "-I", HEADER.parents[1], "-c", source, "-o", tmp_path / "user.o")
