"""What the README and docs/ say can be tried."""

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sparse_runtime
from sparse_runtime import _core

ROOT = Path(sparse_runtime.__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]


def test_operators_page_is_up_to_date():
    made = subprocess.run(
        [sys.executable, ROOT / "tools" / "operators_md.py"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    page = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    assert page == made.stdout, "run: python tools/operators_md.py > docs/operators.md"


@pytest.mark.slow
def test_readme_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})  # pylint: disable=exec-used
    assert "pw_" in capsys.readouterr().out


def test_wheels_are_found_by_the_names_told():
    """The files' names as packaging makes them for the tags that pyproject.toml and cibuildwheel give."""
    page = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"pip install (\S+\.whl)", page)
    for tag in ("cp311-abi3-linux", "cp310-cp310-manylinux2014_aarch64.manylinux_2_17", "cp311-abi3-musllinux_1_2"):
        assert fnmatch.fnmatch(f"sparse_runtime-{sparse_runtime.__version__}-{tag}_aarch64.whl", pattern)
        assert not fnmatch.fnmatch(f"sparse_runtime-{sparse_runtime.__version__}-{tag}_x86_64.whl", pattern)


def test_kernels_of_the_readme():
    rows = re.findall(r"^\|.*\(`(\w+)`\) \|(.*)\|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    kernels = _core.kernels()
    assert {cls for cls, _ in rows} == {kernel["cls"] for kernel in kernels}
    needs = [(kernel["cls"], kernel["isa"].replace("avx2,avx512", "avx512")) for kernel in kernels]
    there = {(cls, isa) for cls, isas in needs for isa in isas.split(",")}
    listed = {isa for _, isa in there}  # on ARM without those of x86
    for cls, cells in rows:
        for isa, cell in zip(("ref", "avx2", "avx512", "neon"), cells.split("|")):
            assert isa not in listed or (cell.strip() != "-") == ((cls, isa) in there), (cls, isa)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_named_exist(page):
    """Names in backquotes that look like a path of this project."""
    names = re.findall(
        r"`((?:csrc|sparse_runtime|docs|tools|tests|benchmarks|examples)/[\w./-]*)`", page.read_text("utf-8")
    )
    missing = [name for name in names if not (ROOT / name).exists()]
    assert not missing
