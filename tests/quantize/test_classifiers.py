"""Post-training quantization of real classifiers: what they see in photographs stays what it was in FP32. Needs the
networks and images in the folder that SPARSE_RUNTIME_MODELS names, and Pillow to read the images."""

import functools
import os
from pathlib import Path

import numpy as np
import pytest

import sparse_runtime as sr

MODELS = os.environ.get("SPARSE_RUNTIME_MODELS")
pytestmark = [
    pytest.mark.models,
    pytest.mark.slow,
    pytest.mark.skipif(not MODELS, reason="SPARSE_RUNTIME_MODELS is not set"),
]
SIZES = {
    "coral_mobilenet_v1_0.25_128_fp32": 128,
    "coral_mobilenet_v1_0.75_192_fp32": 192,
    "coral_mobilenet_v2_1.0_224_fp32": 224,
}
CALIBRATION = 32


@functools.lru_cache(maxsize=1)
def every_picture(size):
    """The middle of every photograph as bytes [1, size, size, 3]."""
    image = pytest.importorskip("PIL.Image")
    found = []
    for line in Path(MODELS, "images", "labels.txt").read_text(encoding="utf-8").splitlines():
        with image.open(Path(MODELS, "images", line.split()[0])) as opened:
            picture = opened.convert("RGB")
        side = round(0.875 * min(picture.size))
        left, top = ((full - side) // 2 for full in picture.size)
        picture = picture.crop((left, top, left + side, top + side)).resize((size, size), image.Resampling.BILINEAR)
        found.append(np.asarray(picture, np.uint8)[None])
    return found


def pictures(size):
    """(for calibration, for the test)"""
    found, every = every_picture(size), set(range(0, 3 * CALIBRATION, 3))
    return [p for i, p in enumerate(found) if i in every], [p for i, p in enumerate(found) if i not in every]


@pytest.mark.parametrize("name", SIZES)
def test_top1_agreement(name):
    path = Path(MODELS, f"{name}.onnx")
    calibration, test = pictures(SIZES[name])
    assert len(calibration) == CALIBRATION and len(test) >= 60
    done = sr.convert(path, int8=True, calibration=[{"input": p} for p in calibration])
    exact, actual = sr.Session(path), sr.Session(done.data)
    agree = np.mean([exact(p).argmax() == actual(p).argmax() for p in test])
    assert agree >= 0.94, done
    assert done.quantization.skipped == [] and done.quantization.output_sqnr > 20
    assert done.file_bytes < 0.35 * path.stat().st_size


@pytest.mark.parametrize("name", SIZES)
def test_top1_of_the_quantized_model(name):
    """What TensorFlow Lite quantized sees as much in the photographs, within 1 %, as the same network in FP32."""
    lines = Path(MODELS, "images", "labels.txt").read_text(encoding="utf-8").splitlines()
    labels = [int(line.split()[1]) + 1 for line in lines]
    found = []
    for path in (Path(MODELS, f"{name}.onnx"), Path(MODELS, f"{name.replace('fp32', 'int8_qdq')}.onnx")):
        session = sr.Session(path)
        seen = [int(session(p).argmax()) for p in every_picture(SIZES[name])]
        found.append(np.mean(np.array(seen) == labels))
    assert found[1] >= found[0] - 0.01, found
