"""Files of arrays, whole and damaged."""

import random

import numpy as np
import pytest

import sparse_runtime as sr
from sparse_runtime.arrays import load

ARRAY = np.random.default_rng(0).standard_normal((3, 3, 8, 8)).astype(np.float32)


def save(path, kind):
    np.save(path, ARRAY) if kind == "npy" else (np.savez if kind == "npz" else np.savez_compressed)(path, x=ARRAY)


@pytest.mark.parametrize("kind", ["npy", "npz", "compressed"])
def test_whole(tmp_path, kind):
    path = tmp_path / ("a.npy" if kind == "npy" else "a.npz")
    save(path, kind)
    loaded = load(str(path))
    np.testing.assert_array_equal(loaded if kind == "npy" else loaded["x"], ARRAY)


@pytest.mark.parametrize("kind", ["npy", "npz", "compressed"])
def test_damaged(tmp_path, kind):
    """Any change is unseen or an error of ours; zipfile, zlib and numpy have a dozen kinds of their own."""
    path, changes, refused = tmp_path / ("a.npy" if kind == "npy" else "a.npz"), random.Random(1), 0
    save(path, kind)
    whole = path.read_bytes()
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(changes.randint(1, 3)):  # mostly in the headers, at both ends
            near = changes.randrange(150)
            at = changes.choice([near, len(data) - 1 - near, changes.randrange(len(data))])
            data[at] = changes.randrange(256)
        path.write_bytes(data[: changes.randrange(len(data))] if changes.random() < 0.2 else data)
        try:
            load(str(path))
        except sr.SparseRuntimeError:
            refused += 1
    assert refused > 100


def test_refused(tmp_path):
    path = tmp_path / "a.npy"
    with pytest.raises(sr.ModelIOError, match="a.npy: No such file"):
        load(str(path))
    np.save(path, np.array([{1: 2}], dtype=object), allow_pickle=True)
    with pytest.raises(sr.ArgumentError, match="not a .npy or .npz file that can be read .Object arrays"):
        load(str(path))
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000, 3, 8, 8), }".ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00v\x00" + header)
    with pytest.raises(sr.ArgumentError, match="not a .npy or .npz file"):
        load(str(path))
