"""How to go to INT8: ranges from calibration data, the rewrite to QuantizeLinear and DequantizeLinear, and the error
that each layer adds. docs/calibration.md tells what is chosen and why."""

from .collect import calibrate
from .measure import MIN_SQNR, LayerError, QuantizationReport, quantize, report
from .numbers import Params, Range, quantize_bias, quantize_weights
from .qdq import insert
from .thresholds import METHODS

__all__ = [
    "METHODS",
    "MIN_SQNR",
    "LayerError",
    "Params",
    "QuantizationReport",
    "Range",
    "calibrate",
    "insert",
    "quantize",
    "quantize_bias",
    "quantize_weights",
    "report",
]
