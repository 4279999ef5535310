#!/usr/bin/env python3
"""Puts the C library into two files, spr.c and spr.h, that build with one call of the compiler and need no build
system:

    python tools/amalgamate.py FOLDER
    cc -O3 -c FOLDER/spr.c             # gcc or clang, for any CPU that the library knows; link with -lm -lpthread

Headers that many files share come first, once. Then each .c file with its own headers and templates in place; what it
keeps to itself (static functions, types, enumerators) gets a name of its own where another file has one like it, and
its macros end with it.
"""
import re
import sys
from pathlib import Path

CORE = Path(__file__).resolve().parent.parent / "csrc"
NOT_IN_LIBRARY = {"tests", "tools", "jni"}  # as in setup.py and CMakeLists.txt

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(["<])([^">]+)[">].*$', re.MULTILINE)
PROTOTYPE = re.compile(r"^(?!static|SPR_INLINE|typedef|[ \t/#*])\w[\w \t*]*\bspr_\w+\([^;{}]*\);", re.MULTILINE)
GUARDED = re.compile(r"#ifndef (SPR_\w+_H)\n#define \1\b")
# Comments, strings and characters; preprocessor lines with their continuations; names and numbers; all else.
TOKEN = re.compile(
    r'(?P<space>\s+|/\*.*?\*/|//[^\n]*)|(?P<text>"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\')|(?P<name>[A-Za-z_]\w*)|'
    r"(?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)|(?P<other>->|\.\.\.|.)", re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.MULTILINE)

# CMakeLists.txt leaves out the same with SPR_PLAIN_C.
FOR_ONE_CPU = re.compile(r"^kernels/\w+/(neon|avx|x86|vnni|vbmi|amx|dotprod|i8mm)\w*\.c$")
FEATURES = {"_GNU_SOURCE", "_FILE_OFFSET_BITS"}  # set once, at the top

HEAD = """/* sparse-runtime {version}, the C library in one file, put together by tools/amalgamate.py: change the
 * files that it comes from.
 * Licensed under the Apache License, Version 2.0.
 *
 *     cc -O3 -c spr.c       then link spr.o with -lm -lpthread
 *
 * Only the functions of spr.h are visible. Optional: -DSPR_PLAIN_C leaves out all kernels but those in plain C;
 * -DSPR_TAILOR='"tailored.h"' with a header that tools/tailor.py wrote, -ffunction-sections -fdata-sections, and
 * --gc-sections at the linker leave out what a model does not need. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
/* A product and a sum become one operation only where the code says so. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
"""


def macros_defined(text):
    return set(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", text, re.MULTILINE))


def strip_directives(text):
    """Preprocessor lines blanked, so that positions stay."""
    return DIRECTIVE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def tokens(text):
    """(kind, text, position) of all tokens that are not space."""
    return [(m.lastgroup, m[0], m.start()) for m in TOKEN.finditer(text) if m.lastgroup != "space"]


def names_defined(text):
    """Names that a file defines for itself at file scope: static functions and data, types, tags, enumerators."""
    found, chunk, depth, kinds, token = set(), [], 0, [], ""
    for kind, this, _ in tokens(strip_directives(text)):
        before, token = token, this
        if token == "{":
            depth += 1
            opens = [t for _, t in chunk]
            is_type = bool({"struct", "union", "enum"} & set(opens)) and ")" not in opens and "=" not in opens
            kinds.append("enum" if is_type and "enum" in opens else "type" if is_type else "body")
            if depth == 1 and is_type and opens[-1] not in ("struct", "union", "enum"):
                found.add(opens[-1])
            elif depth == 1 and not is_type:
                found |= declared(chunk)
            if depth > 1 or not is_type:
                chunk = chunk if depth > 1 else []
            continue
        if token == "}":
            depth -= 1
            ended = kinds.pop() if kinds else "body"
            if depth == 0 and ended == "body":
                chunk = []
            continue
        if depth == 0:
            chunk.append((kind, token))
            if token == ";":
                found |= declared(chunk)
                chunk = []
        elif depth == 1 and kinds and kinds[0] == "enum" and before in ("{", ",") and re.match(r"[A-Z]", token):
            found.add(token)  # and not the names in its value
    return found


def declared(chunk):
    """The name that a declaration gives: a chunk of tokens up to its body, value or end."""
    text = [t for _, t in chunk]
    starts = [i for i, token in enumerate(text) if token in ("static", "typedef", "SPR_INLINE")]
    if not starts:
        return set()
    text = text[starts[-1]:]  # behind what macros stood there
    if "=" in text:
        text = text[:text.index("=")]
    pointer = re.search(r"\( ?\* ?(\w+) ?\)", " ".join(text))
    if "typedef" in text and pointer:
        return {pointer[1]}
    names = []
    for i, token in enumerate(text):
        following = text[i + 1] if i + 1 < len(text) else ";"
        is_name = re.match(r"[A-Za-z_]\w*$", token) and not re.match(r"SPR_[A-Z0-9_]+$",
                                                                     token) and token != "__attribute__"
        if is_name and following in ("(", "[", ";", "="):
            names.append(token)
    return set(names[:1])


def pasted_names(text):
    """Names that macros put together. First those that a macro gives an ending, as in NAME(rows); then beginnings of
    static functions that a macro defines, as in `static void tile_##n(...)`."""
    whole, beginnings = set(), set()
    for macro, ending in re.findall(r"#[ \t]*define (\w+)\((?:\w+)\) \w+##(\w+)$", text, re.MULTILINE):
        whole |= {name + ending for name in re.findall(rf"\b{macro}\((\w+)\)", text)}
    for line in DIRECTIVE.findall(text):
        if re.search(r"\bstatic\b", line):
            beginnings |= set(re.findall(r"\b([a-z]\w*_)##", line))
    return whole, {b for b in beginnings if not b.startswith("spr_")}


def rename_beginnings(text, beginnings, tag):
    if not beginnings:
        return text
    return re.sub(rf"\b({'|'.join(sorted(beginnings))})(?=##|\d)", rf"\g<1>in_{tag}_", text)


def rename(text, changed):
    """Other names for those in a file; members of structs (behind . and ->, or declared in one) are left as they
    are."""
    if not changed:
        return text
    parts, at, previous = [], 0, ""
    found = [(m.lastgroup, m[0], m.start()) for m in TOKEN.finditer(text)]
    solid = [i for i, (kind, _, _) in enumerate(found) if kind != "space"]
    following = {solid[k]: found[solid[k + 1]] if k + 1 < len(solid) else ("other", "", 0) for k in range(len(solid))}
    in_struct, opening, attribute = [], False, 0
    for i in solid:
        kind, token, start = found[i]
        next_kind, next_token, _ = following[i]
        if token == "__attribute__":
            attribute = 1
        elif attribute:
            attribute += {"(": 1, ")": -1}.get(token, 0)
            attribute = 0 if token == ")" and attribute == 1 else attribute
        elif kind == "name" and token in changed and previous not in (".", "->"):
            is_member = bool(in_struct and in_struct[-1]) and next_token in (";", ",", "[",
                ":") and previous not in ("[", "(", "sizeof")
            if not is_member:
                parts.append(text[at:start] + changed[token])
                at = start + len(token)
        if token in ("struct", "union"):
            opening = True
        elif token == "{":
            in_struct.append(opening)
            opening = False
        elif token == "}":
            if in_struct:
                in_struct.pop()
        elif token in (";", "=", "*") or (token == "(" and not previous.isupper()):  # struct NAME(tag) { is one too
            opening = False
        previous = token
    return "".join(parts) + text[at:]


class Amalgamation:
    def __init__(self, core):
        self.core = core
        sources = (p for p in core.rglob("*.c") if p.relative_to(core).parts[0] not in NOT_IN_LIBRARY)
        self.sources = sorted(sources, key=lambda p: (p.name != "dispatch.c", p))  # which declares all kernels
        self.shared = []  # texts of the headers for all
        self.for_all, self.placed = set(), set()
        for header in sorted(core.rglob("*.h")):
            own = len(header.relative_to(core).parts) > 2 and header.relative_to(core).parts[0] == "kernels"
            if not own or PROTOTYPE.search(header.read_text(encoding="utf-8")):
                self.note_shared(header)

    def find(self, name, user):
        for folder in (self.core, self.core / "include", user.parent):
            if (folder / name).exists():
                return (folder / name).resolve()
        raise SystemExit(f"{user}: there is no {name}")

    def note_shared(self, header):
        """A header is for all, with what it includes, if it is outside of the kernels' folders or declares functions of
        another file. The others are not: several of them give the same names to the vectors of one instruction set
        each."""
        text = header.read_text(encoding="utf-8")
        of_others = header.relative_to(self.core).parts[0] in NOT_IN_LIBRARY
        if of_others or not GUARDED.search(text) or header in self.for_all:
            return
        self.for_all.add(header)
        for quote, name in INCLUDE.findall(text):
            if quote == '"' and name.endswith(".h") and not name.endswith(".tmpl.h"):
                self.note_shared(self.find(name, header))

    def expand(self, path, users=()):
        """A file with its own headers in place; those for all go to self.shared."""
        text = path.read_text(encoding="utf-8")

        def put(match):
            if match[1] == "<":
                return f"#pragma GCC visibility push(default)\n{match[0].strip()}\n#pragma GCC visibility pop"
            header = self.find(match[2], path)
            if header.name == "spr.h":
                return ""
            if header in users:
                raise SystemExit(f"{path} includes itself by {match[2]}")
            if header not in self.for_all:
                return self.expand(header, (*users, path))
            if header in self.placed:
                return ""
            self.placed.add(header)
            body = self.expand(header, (*users, path))
            if path in self.for_all:  # at its place: kernel.h includes a header in its middle
                return body
            self.shared.append(body)
            return ""

        return INCLUDE.sub(put, text)

    def text(self):
        version = re.findall(r"^#define SPR_VERSION_\w+ (\d+)",
                             (self.core / "include/spr/spr.h").read_text(encoding="utf-8"), re.MULTILINE)
        bodies = [(path, self.expand(path)) for path in self.sources]
        common = "\n".join(self.shared)
        defined = {path: names_defined(body) for path, body in bodies}
        count = {}
        for name in [*names_defined(common), *(name for names in defined.values() for name in names)]:
            count[name] = count.get(name, 0) + 1
        completed = set(re.findall(r"\bstruct (spr_\w+)", common))  # declared for all, defined in one file
        pasted = {path: pasted_names(body) for path, body in bodies}
        pasted_count = {}
        for whole, _ in pasted.values():
            for name in whole:
                pasted_count[name] = pasted_count.get(name, 0) + 1
        kernels = set(re.findall(r"\w+", (self.core / "kernels/kernels.inc").read_text(encoding="utf-8")))
        out = [HEAD.format(version=".".join(version)), '#include "spr.h"', "#pragma GCC visibility push(hidden)",
               common]
        macros_of_all = macros_defined(common) - set(re.findall(r"^[ \t]*#[ \t]*undef[ \t]+(\w+)", common,
                                                                re.MULTILINE))
        for path, body in bodies:
            where = path.relative_to(self.core).as_posix()
            tag = re.sub(r"\W", "_", where[:-2])
            clashing = {name for name in defined[path] - completed
                        if count[name] > 1} | macros_defined(body) & macros_of_all - FEATURES
            body = rename(body, {name: f"{name}_in_{tag}" for name in clashing})
            body = rename_beginnings(body, pasted[path][1], tag)
            again = sorted(name for name in pasted[path][0] - kernels if pasted_count[name] > 1)
            macros = sorted(macros_defined(body) - FEATURES)
            body = re.sub(rf"^[ \t]*#[ \t]*define[ \t]+({'|'.join(sorted(FEATURES))})\b.*$", "", body,
                          flags=re.MULTILINE)
            if FOR_ONE_CPU.search(where):
                body = f"#ifndef SPR_PLAIN_C\n{body}\n#endif"
            out += [f"/* ---- {where} ---- */", *(f"#define {name} {name}_in_{tag}" for name in again), body,
                    *(f"#undef {name}" for name in [*again, *macros])]
        out.append("#pragma GCC visibility pop\n")
        return re.sub(r"\n{3,}", "\n\n", "\n".join(out))


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit("usage: amalgamate.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    text = Amalgamation(CORE).text()
    (folder / "spr.c").write_text(text, encoding="utf-8")
    header = (CORE / "include/spr/spr.h").read_text(encoding="utf-8")
    (folder / "spr.h").write_text(header, encoding="utf-8")
    lines = text.count("\n")
    print(f"{folder / 'spr.c'}: {lines} lines, {len(text) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
