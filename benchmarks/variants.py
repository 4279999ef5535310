"""The networks of the report, pruned by magnitude in the ways that it compares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NAMES = ("mobilenet_v1", "mobilenet_v2", "picodet_m")
INT8_NAMES = ("mobilenet_v1_int8",)


@dataclass(frozen=True)
class Variant:
    """A way of pruning: share of zeros in the 1x1 layers (`networks.prunable`), in blocks of rows."""

    ratio: float = 0.0
    block: int = 1

    @property
    def key(self) -> str:
        if not self.ratio:
            return "dense"
        return f"{round(self.ratio * 100)}" + ("-2x1" if self.block == 2 else "")

    @property
    def title(self) -> str:
        if not self.ratio:
            return "dense"
        return f"{round(self.ratio * 100)} %" + (", 2x1 blocks" if self.block == 2 else "")


VARIANTS = {v.key: v for v in (Variant(), *(Variant(ratio, block) for block in (1, 2) for ratio in (0.75, 0.85, 0.9)))}


def build(name: str, variant: Variant):
    """An onnx.ModelProto; of INT8_NAMES one that is quantized after it was pruned."""
    if name in INT8_NAMES:
        return _quantized(build(name.removesuffix("_int8"), variant))
    from sparse_runtime import prune, zoo

    from .networks import prunable

    model = zoo.build(name)
    if variant.ratio:
        model = prune.magnitude(
            model,
            variant.ratio,
            block=(variant.block, 1),
            skip=lambda node, weight: not prunable(node, weight),
        )
    return model


def _quantized(model):
    """With QuantizeLinear and DequantizeLinear by onnxruntime's tool: weights per channel, activations in uint8."""
    import tempfile

    import numpy as np
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    value = model.graph.input[0]
    shape, rng = [d.dim_value for d in value.type.tensor_type.shape.dim], np.random.default_rng(0)

    class Reader(CalibrationDataReader):
        left = 2

        def get_next(self):
            self.left -= 1
            return {value.name: rng.standard_normal(shape).astype(np.float32)} if self.left >= 0 else None

    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = Path(folder, "plain.onnx"), Path(folder, "quantized.onnx")
        onnx.save(model, plain)
        quantize_static(plain, quantized, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)  # fmt: skip
        return onnx.load(quantized)


def write(folder, name: str, variant: Variant) -> Path:
    """The model as an ONNX file in `folder`."""
    import onnx

    path = Path(folder, f"{name}-{variant.key}.onnx")
    onnx.save(build(name, variant), path)
    return path
