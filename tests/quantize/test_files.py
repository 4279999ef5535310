"""Sparse INT8 models are smaller than dense ones, as whole files."""

import numpy as np
import pytest

import sparse_runtime as sr
from sparse_runtime import zoo

# Largest shares of the dense file at these shares of zeros in the 1x1 weights.
LARGEST = {0.5: 1.0, 0.75: 0.45}


def sizes(name, ratio, block):
    """Bytes of the INT8 file stored sparse and stored dense, of the same pruned network."""
    model = sr.prune.magnitude(zoo.build(name, size=96), ratio=ratio, block=block)
    rng = np.random.default_rng(0)
    (info,) = sr.Session(model).inputs
    feeds = [{info.name: rng.standard_normal(info.shape).astype(np.float32)} for _ in range(2)]
    options = dict(int8=True, calibration=feeds, calibration_method="minmax", int8_min_sqnr=None, sparse_threshold=0.4)
    return [sr.convert(model, sparse=sparse, **options).file_bytes for sparse in ("auto", "never")]


@pytest.mark.slow
@pytest.mark.parametrize("block", [(1, 1), (2, 1)])
@pytest.mark.parametrize("name", ["mobilenet_v1", "picodet_m"])
def test_sparse_files_are_smaller(name, block):
    for ratio, most in LARGEST.items():
        sparse, dense = sizes(name, ratio, block)
        assert sparse < most * dense, (ratio, sparse, dense, sparse / dense)
