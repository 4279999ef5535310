"""What to zero: magnitude pruning of ONNX models, and the schedule for pruning while training."""

from .layers import LayerReport, report
from .magnitude import magnitude
from .schedule import gmp_ratios

__all__ = ["LayerReport", "gmp_ratios", "magnitude", "report"]
