"""Einsum against numpy's in double precision, with sizes known and free, and with constant weights."""

import numpy as np
import pytest
from conftest import make_model
from onnx import helper

import sparse_runtime as sr

SIZES = dict(a=2, b=3, c=4, d=5, e=6, i=3, j=4, k=5, h=2, n=2, m=4, q=3, s=3, t=5, w=4)
# equation, sizes of the ellipsis
EQUATIONS = [
    ("ij,jk->ik", ()), ("ij->ji", ()), ("ij->", ()), ("ij->i", ()), ("ii->i", ()), ("ii", ()), ("...ii->...i", (2,)),
    ("bij,bjk->bik", ()), ("bij,bjk", ()), ("i,i", ()), ("i,j->ij", ()), ("bhqd,bhkd->bhqk", ()),
    ("bhqk,bkhd->bqhd", ()),
    ("bsd,dhk->bshk", ()), ("bshk,hkd->bsd", ()), ("...ij,...jk->...ik", (2, 3)), ("...ij,jk->...ik", (2,)),
    ("nchw,nkhw->nck", ()), ("abc,cd,de->abe", ()), ("abc,cb->ca", ()), ("bct,bt->bct", ()), ("ab,cd->abcd", ()),
    ("abcd,abce->de", ()), ("ij,kj", ()), ("bn,anm->abm", ()), ("ab,ab->", ()), ("...i -> ...", (3, 2)),
]  # fmt: skip


def operands(equation, ellipsis):
    rng = np.random.default_rng(0)
    for term in equation.split("->")[0].strip().split(","):
        before, dots, behind = term.partition("...")
        shape = [SIZES[x] for x in before] + list(ellipsis if dots else ()) + [SIZES[x] for x in behind]
        yield rng.standard_normal(shape).astype(np.float32)


CASES = [(*each, False) for each in EQUATIONS] + [(*each, True) for each in EQUATIONS if "," in each[0]]


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("equation, ellipsis, weights", CASES)
def test_einsum(equation, ellipsis, weights, free):
    feeds = {f"x{i}": x for i, x in enumerate(operands(equation, ellipsis))}
    want = np.einsum(equation, *(x.astype(np.float64) for x in feeds.values()))
    node = helper.make_node("Einsum", list(feeds), ["y"], equation=equation)
    constants = dict([feeds.popitem()]) if weights else {}
    inputs = {name: [f"{name}{i}" if free else d for i, d in enumerate(x.shape)] for name, x in feeds.items()}
    session = sr.Session(sr.convert(make_model([node], inputs, ["y"], constants)).data,
                         input_shapes={name: x.shape for name, x in feeds.items()})
    y = session.run(None, feeds)[0]
    assert y.shape == want.shape
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5 * max(1, np.abs(want).max()))


def test_weights_of_an_einsum_may_be_sparse():
    w = np.random.default_rng(0).standard_normal((16, 2, 8)).astype(np.float32)
    w[np.random.default_rng(1).random(w.shape) < 0.9] = 0
    model = make_model([helper.make_node("Einsum", ["x", "w"], ["y"], equation="bsd,dhk->bshk")], {"x": (1, 5, 16)},
                       ["y"],
                       {"w": w})
    (layer,) = [each for each in sr.Session(sr.convert(model).data).explain() if each.op == "FullyConnected"]
    assert layer.sparsity > 0.8


@pytest.mark.parametrize("equation, shapes", [("ij,jk->il", [(2, 3), (3, 4)]), ("ij->ii", [(2, 3)]),
                                              ("ij,j->i", [(2, 3)]),
                                              ("i->i", [(2, 3)]), ("i-j", [(2,)])])
def test_equations_that_are_none(equation, shapes):
    names = [f"x{i}" for i in range(len(shapes))]
    model = make_model([helper.make_node("Einsum", names, ["y"], equation=equation)], dict(zip(names, shapes)), ["y"])
    with pytest.raises(sr.ModelFormatError):
        sr.convert(model)
