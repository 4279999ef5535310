"""The .pyi files name what is there, with the same parameters."""

import ast
import inspect
from pathlib import Path

import pytest

import sparse_runtime
from sparse_runtime import _core

FOLDER = Path(sparse_runtime.__file__).parent


def stub(name):
    return ast.parse((FOLDER / name).read_text(encoding="utf-8")).body


def public(names):
    return {name for name in names if not name.startswith("_")}


def parameters(function):
    return [p.arg for p in function.args.args if p.arg != "self"]


@pytest.mark.parametrize(
    "function", [f for f in stub("_core.pyi") if isinstance(f, ast.FunctionDef)], ids=lambda f: f.name
)
def test_functions(function):
    assert parameters(function) == list(inspect.signature(getattr(_core, function.name)).parameters)


def test_all_functions_are_there():
    functions = {f.name for f in stub("_core.pyi") if isinstance(f, ast.FunctionDef)}
    found = {
        n
        for n, f in vars(_core).items()
        if callable(f) and not isinstance(f, type) and getattr(f, "__module__", None) == _core.__name__
    }
    assert functions == public(found)


@pytest.mark.parametrize("cls", [c for c in stub("_core.pyi") if isinstance(c, ast.ClassDef)], ids=lambda c: c.name)
def test_classes(cls):
    real = getattr(_core, cls.name)
    methods = {f.name: f for f in cls.body if isinstance(f, ast.FunctionDef)}
    assert public(methods) == public(vars(real))
    for name, function in methods.items():
        if name.startswith("_") or function.decorator_list:  # a property, or __init__, whose parameters Cython hides
            continue
        wanted = [p for p in inspect.signature(getattr(real, name)).parameters if p != "self"]
        assert parameters(function) == wanted, name


def test_package():
    names = {alias.asname for node in stub("__init__.pyi") if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names == set(sparse_runtime.__all__)
