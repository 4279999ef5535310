"""The networks of the report, pruned by magnitude in the ways that it compares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NAMES = ("mobilenet_v1", "mobilenet_v2", "picodet_m")


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
    """An onnx.ModelProto."""
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


def write(folder, name: str, variant: Variant) -> Path:
    """The model as an ONNX file in `folder`."""
    import onnx

    path = Path(folder, f"{name}-{variant.key}.onnx")
    onnx.save(build(name, variant), path)
    return path
