"""Every operator of the importer's table, in the forms it has had since opset 7, against onnxruntime."""

import numpy as np
import pytest
from agree import agree, assert_close, random_feeds
from conftest import make_model
from onnx import TensorProto, helper
from oracle import reference

import sparse_runtime as sr
from sparse_runtime.importers.onnx import supported_ops

RNG = np.random.default_rng(7)
F32, I64 = np.float32, np.int64
# Operators are sampled at one opset for each of their forms.
ALL, OLD, NEW = (7, 20), (7, 9), (13, 20)


def f(*shape):
    return RNG.uniform(-1, 1, shape).astype(F32)


def i(*values):
    return np.array(values, I64)


CASES = []


def case(op, inputs, opsets=ALL, outputs=1, out_type=TensorProto.FLOAT, low=-3.0, high=3.0, name="", **attrs):
    """inputs: shapes are fed (float32), arrays are constants, None is an input that is not given, ("int64", shape) is
    fed as such. out_type: of all outputs, or a list of types."""
    for opset in opsets:
        label = f"{op}-{opset}-{name or len(CASES)}"
        CASES.append(pytest.param(op, inputs, opset, outputs, out_type, low, high, attrs, id=label))


X = (2, 6, 5, 7)
for op in (
    "Relu",
    "Sigmoid",
    "Tanh",
    "Softplus",
    "Exp",
    "Floor",
    "Ceil",
    "Neg",
    "Abs",
    "Softsign",
    "Elu",
    "Selu",
    "LeakyRelu",
    "HardSigmoid",
    "Identity",
    "Softmax",
    "LogSoftmax",
):
    case(op, [X])
for op in ("Sqrt", "Log", "Reciprocal"):
    case(op, [X], low=0.1)
for op in ("Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Asinh"):
    case(op, [X], opsets=(9, 20) if op[-1] == "h" else (7, 20))
for op in ("Asin", "Acos", "Atanh"):
    case(op, [X], opsets=(9, 20), low=-0.99, high=0.99)
case("Acosh", [X], opsets=(9, 20), low=1.01)
for op in ("Sign", "Erf"):
    case(op, [X], opsets=(9, 13))
case("Round", [X], opsets=(11,))
case("HardSwish", [X], opsets=(14, 20))
case("Mish", [X], opsets=(18,))
case("Gelu", [X], opsets=(20,))
case("Gelu", [X], opsets=(20,), approximate="tanh")
case("Celu", [X], opsets=(12,), alpha=0.7)
case("Elu", [X], alpha=0.3)
case("Selu", [X], alpha=1.2, gamma=0.9)
case("LeakyRelu", [X], alpha=0.2)
case("HardSigmoid", [X], alpha=0.3, beta=0.4)
case("Clip", [X], opsets=OLD, min=-1.0, max=0.5)
case("Clip", [X], opsets=OLD, max=0.5)
case("Clip", [X, F32(-1), F32(0.5)], opsets=(11, 13))
case("Clip", [X, None, F32(0.5)], opsets=(11, 13))
case("Clip", [X, F32(-0.5)], opsets=(11, 13))
case("Clip", [X, ()], opsets=(13,), name="computed bound")
case("Clip", [("int64", X), I64(2), I64(5)], opsets=(13,), out_type=TensorProto.INT64)
case("PRelu", [X, f(6, 1, 1)], opsets=ALL)
case("PRelu", [X, f(1, 6, 1, 1)])
case("PRelu", [X, f(1)])
case("PRelu", [X, f(7)], name="last axis")
case("PRelu", [X, f(5, 1)], name="rows")
case("PRelu", [(4, 6), f(6)])
case("PRelu", [X, (6, 1, 1)], opsets=(9,), name="computed slope")
for op in ("Add", "Sub", "Mul", "Div"):
    case(op, [X, f(6, 1, 1)])
    case(op, [X, (5, 7)], low=0.5)
    case(op, [("int64", (3,)), i(7, 8, 9)], out_type=TensorProto.INT64)
case("Pow", [X, F32(2)])
case("Pow", [X, i(3)], opsets=(12, 15))
for op in ("Min", "Max", "Sum", "Mean"):
    case(op, [X, (6, 1, 1), X], opsets=(8, 13))
    case(op, [X])
case("Dropout", [X], opsets=(7, 10), ratio=0.3)
case("Dropout", [X, F32(0.3)], opsets=(12, 13))
case("Cast", [X], opsets=(7, 9, 13, 19), to=TensorProto.INT32, out_type=TensorProto.INT32)

# The output's rank is not known to the importer where shapes are computed; the plain cases are known.
for axis in (0, 1, 2, -1):
    case("Softmax", [X], opsets=(11, 13), axis=axis)
    case("LogSoftmax", [X], opsets=(11, 13), axis=axis)
    case("Flatten", [X], opsets=(11, 13), axis=axis)
case("Softmax", [(3, 5)])

for k in (
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSum",
    "ReduceLogSumExp",
):
    low = 0.2 if k == "ReduceLogSum" else -1.5
    old = (7, 12) if k == "ReduceSum" else (7, 13)
    case(k, [X], opsets=old, axes=[2, 3], low=low)
    case(k, [X], opsets=old, axes=[1], keepdims=0, low=low)
    case(k, [X], opsets=old + (18,), low=low)
    case(k, [X, i(-1, 1)], opsets=(18,), low=low)
case("ReduceSum", [X, i(2)], opsets=(13,), keepdims=0)
case("ReduceSum", [X, np.zeros(0, I64)], opsets=(13,), noop_with_empty_axes=1)

case("Conv", [X, f(8, 6, 3, 3)])
case("Conv", [X, f(8, 6, 3, 3), f(8)], pads=[1, 0, 2, 1], strides=[2, 1], dilations=[1, 2])
case("Conv", [X, f(6, 1, 3, 3), f(6)], group=6, auto_pad="SAME_UPPER", strides=[2, 2])
case("Conv", [X, f(4, 3, 1, 1)], group=2, auto_pad="SAME_LOWER")
case("Conv", [X, f(4, 6, 2, 2)], auto_pad="VALID", kernel_shape=[2, 2])
case("Conv", [(2, 4, 9), f(6, 4, 3), f(6)], pads=[1, 2], strides=[2], name="1-D")
case("Conv", [(2, 4, 9), f(6, 4, 3)], auto_pad="SAME_UPPER", strides=[2], name="1-D same")
case("Conv", [(1, 2, 4, 4), f(3, 2, 1, 1), (3,)], name="computed bias")
case("MaxPool", [X], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])
case("MaxPool", [X], opsets=(10, 12), kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
case("MaxPool", [X], opsets=(10,), kernel_shape=[2, 2], dilations=[2, 1])
case("MaxPool", [(2, 3, 11)], kernel_shape=[3], strides=[2], pads=[1, 0], name="1-D")
case("AveragePool", [X], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
case("AveragePool", [X], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
case("AveragePool", [X], opsets=(10, 19), kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
case("AveragePool", [X], kernel_shape=[2, 2], auto_pad="SAME_UPPER")
case("GlobalAveragePool", [X])
case("GlobalMaxPool", [X])
case("BatchNormalization", [X, f(6), f(6), f(6), np.abs(f(6)) + 0.1], opsets=(7, 9, 14, 15), epsilon=1e-3)
case("InstanceNormalization", [X, f(6), f(6)], opsets=(7, 13))

case("MatMul", [(4, 6), f(6, 5)])
case("MatMul", [(2, 3, 6), f(6, 5)])
case("MatMul", [(2, 3, 6), f(6)], name="vector")
case("MatMul", [(2, 3, 6), (2, 6, 4)])
case("MatMul", [f(4, 6), (6, 3)], name="constant first")
case("MatMul", [(2, 3, 4, 6), f(3, 6, 5)], name="batch of constants")
case("Gemm", [(4, 6), f(6, 5), f(5)])
case("Gemm", [(4, 6), f(5, 6), f(1, 5)], transB=1, alpha=0.5, beta=2.0)
case("Gemm", [(6, 4), f(6, 5), f(4, 1)], transA=1, beta=0.5, name="column C")
case("Gemm", [(4, 6), f(6, 5), F32(1.5)], name="scalar C")
case("Gemm", [(4, 6), (6, 5), (5,)], alpha=0.5, name="nothing constant")
case("Gemm", [(4, 6), (5, 6)], opsets=(11, 13), transB=1)

case("Constant", [], value_float=1.5, opsets=(12,))
case("Constant", [], value_floats=[1.0, 2.0], opsets=(12,))
case("Constant", [], value_int=3, opsets=(12,), out_type=TensorProto.INT64)
case("Constant", [], value_ints=[3, 4], opsets=(12,), out_type=TensorProto.INT64)
case("ConstantOfShape", [i(2, 3)], opsets=(9, 20), value=helper.make_tensor("v", TensorProto.FLOAT, [1], [2.5]))
case("Shape", [X], out_type=TensorProto.INT64)
case("Shape", [X], opsets=(15, 19), out_type=TensorProto.INT64, start=1, end=-1)
case("Size", [X], out_type=TensorProto.INT64)
case("Reshape", [X, i(0, -1, 7)])
case("Reshape", [X, i(2, 210)])
case("Reshape", [X, i(2, 6, 35)], opsets=(14,), allowzero=1)
case("Squeeze", [(2, 1, 3, 1)], opsets=(7, 11), axes=[1, 3])
case("Squeeze", [(2, 1, 3, 1)], opsets=(7, 13))
case("Squeeze", [(2, 1, 3, 1), i(-1)], opsets=NEW)
case("Unsqueeze", [(2, 3)], opsets=(7, 11), axes=[0, 3])
case("Unsqueeze", [(2, 3), i(0, -1)], opsets=NEW)
case("Transpose", [X], perm=[0, 2, 3, 1])
case("Transpose", [X])
case("Expand", [(2, 1, 3), i(4, 1, 5, 1)], opsets=(8, 13))
case("Tile", [(2, 3), i(2, 3)])
case("Concat", [X, f(2, 2, 5, 7), X], axis=1)
case("Concat", [X, X], opsets=(11, 13), axis=-1)
case("Split", [X], opsets=(7, 11), outputs=2, axis=1, split=[2, 4])
case("Split", [X], opsets=(7, 13), outputs=3, axis=1)
case("Split", [X, i(1, 5)], opsets=NEW[:1], outputs=2, axis=1)
case("Split", [X], opsets=(18,), outputs=2, axis=3, num_outputs=2, name="uneven")
case("Slice", [X], opsets=(7, 9), starts=[1, -3], ends=[3, 9999], axes=[1, 3])
case("Slice", [X], opsets=(7,), starts=[0, 2], ends=[2, -1])
case("Slice", [X, i(1, -3), i(3, 9999), i(1, -1)], opsets=(10, 13))
case("Slice", [X, i(-1), i(-9999), i(3), i(-2)], opsets=(10, 13), name="backwards")
case("Gather", [X, i(3, 0)], axis=1)
case("Gather", [X, I64(-1)], opsets=(11, 13), axis=2)
case("Pad", [X], opsets=OLD, pads=[0, 0, 1, 2, 0, 1, 0, 3], value=1.5)
case("Pad", [X], opsets=OLD, pads=[0, 0, 1, 2, 0, 0, 2, 3], mode="reflect")
case("Pad", [X, i(0, 0, 1, 2, 0, 1, 0, 3), F32(1.5)], opsets=(11, 13))
case("Pad", [X, i(0, 0, 1, 2, 0, 1, 0, 3)], opsets=(11, 13), mode="edge")
case("Pad", [X, i(1, 2), F32(-1), i(-1)], opsets=(18,))
case("DepthToSpace", [(2, 8, 3, 4)], blocksize=2)
case("DepthToSpace", [(2, 8, 3, 4)], opsets=(11, 13), blocksize=2, mode="CRD")
case("SpaceToDepth", [(2, 3, 4, 6)], blocksize=2)

SCALES = np.array([1, 1, 2, 3], F32)
case("Upsample", [X], opsets=(7,), scales=[1.0, 1.0, 2.0, 3.0], mode="nearest")
case("Upsample", [X, SCALES], opsets=(9,))
case("Upsample", [X, SCALES], opsets=(9,), mode="linear")
case("Resize", [X, SCALES], opsets=(10,))
case("Resize", [X, np.array([1, 1, 0.6, 0.5], F32)], opsets=(10,), name="down")
case("Resize", [X, SCALES], opsets=(10,), mode="linear")
for mode in ("nearest", "linear", "cubic"):
    for transformation in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
        case("Resize", [X, None, SCALES], opsets=(13, 19), mode=mode, coordinate_transformation_mode=transformation)
case("Resize", [X, np.zeros(0, F32), np.zeros(0, F32), i(2, 6, 8, 3)], opsets=(11,), mode="linear")
for size in range(2, 20):  # of 5 rows and 7 columns, by scales that are rounded to float32: some positions lie midway
    scales = np.array([1, 1, size / 5, (size + 2) / 7], F32)
    for nearest, transformation in (("floor", "asymmetric"), ("ceil", "asymmetric"), ("round_prefer_floor", "half_pixel")):
        case("Resize", [X, None, scales], opsets=(13,), nearest_mode=nearest, coordinate_transformation_mode=transformation)
case("Resize", [X, None, None, i(10, 3)], opsets=(18,), mode="linear", axes=[2, 3])
for nearest in ("round_prefer_ceil", "floor", "ceil"):
    case("Resize", [X, None, np.array([1, 1, 0.7, 1.6], F32)], opsets=(13,), nearest_mode=nearest)

case("QuantizeLinear", [X, F32(0.05), np.uint8(10)], opsets=(10, 13), out_type=TensorProto.UINT8)
case("QuantizeLinear", [X, F32(0.05)], opsets=(10, 13), out_type=TensorProto.UINT8)
case(
    "QuantizeLinear", [X, np.abs(f(6)) + 0.1, np.zeros(6, np.int8)], opsets=(13, 19), out_type=TensorProto.INT8, axis=1
)
case("DequantizeLinear", [("uint8", X), F32(0.05), np.uint8(10)], opsets=(10, 13))
case("DequantizeLinear", [("int8", X), np.abs(f(6)), np.zeros(6, np.int8)], opsets=(13, 19), axis=1)

B = ("bool", (2, 1, 5, 7))
BOOL, INT64 = TensorProto.BOOL, TensorProto.INT64
VALUES_INDICES = [TensorProto.FLOAT, INT64]
for op in ("Equal", "Less", "Greater"):
    case(op, [("int64", X), ("int64", (6, 1, 7))], opsets=(9, 13), out_type=BOOL)
    case(op, [("float64", X), np.float64(0.5)], opsets=(11,), out_type=BOOL)
case("Less", [X, (6, 1, 1)], opsets=OLD, out_type=BOOL)
for op in ("LessOrEqual", "GreaterOrEqual"):
    case(op, [X, (5, 1)], opsets=(12, 16), out_type=BOOL)
    case(op, [("int32", X), ("int32", X)], opsets=(12,), out_type=BOOL)
for op in ("And", "Or", "Xor"):
    case(op, [("bool", X), B], out_type=BOOL)
case("Not", [("bool", X)], out_type=BOOL)
case("Where", [B, X, (6, 1, 1)], opsets=(9, 16))
case("Where", [("bool", (7,)), ("int64", (5, 1)), ("int64", X)], opsets=(9,), out_type=INT64)
case("IsNaN", [np.array([1, np.nan, np.inf], F32)], opsets=(9, 13), out_type=BOOL)
case("IsNaN", [X], opsets=(13,), out_type=BOOL)
case("IsInf", [X], opsets=(10,), out_type=BOOL)
case("IsInf", [X], opsets=(10,), out_type=BOOL, detect_negative=0)
case("Mod", [("int64", X), i(3, -3, 2, -2, 1, 5, 7)], opsets=(10, 13), out_type=INT64)
case("Mod", [("int32", X), np.array([-4], np.int32)], opsets=(13,), out_type=TensorProto.INT32, fmod=1)
case("Mod", [X, f(5, 1)], opsets=(10, 13), fmod=1)
case("ThresholdedRelu", [X], opsets=(10, 20), alpha=0.7)
case("Shrink", [X], opsets=(9,), lambd=1.0, bias=0.3)
case("CastLike", [X, ("int64", (1,))], opsets=(15, 19), out_type=INT64)

for op in ("ArgMax", "ArgMin"):
    case(op, [X], opsets=(7, 11, 13), axis=1, out_type=INT64)
    case(op, [X], opsets=(11, 13), axis=-1, keepdims=0, out_type=INT64)
    case(op, [("int32", X)], opsets=(12, 13), axis=2, select_last_index=1, out_type=INT64)
case("Hardmax", [X], opsets=(11, 13))
case("Hardmax", [X], opsets=(11, 13), axis=2)
case("Hardmax", [X], opsets=(13,), axis=-3)
case("TopK", [X], opsets=(7,), outputs=2, k=3, axis=1, out_type=VALUES_INDICES)
case("TopK", [X, i(4)], opsets=(10, 11), outputs=2, out_type=VALUES_INDICES)
case("TopK", [X, i(5)], opsets=(11,), outputs=2, axis=2, largest=0, out_type=VALUES_INDICES)
case("TopK", [("int64", (40,)), i(40)], opsets=(11,), outputs=2, name="ties", out_type=[INT64, INT64])
case("CumSum", [X, np.array(1, np.int32)], opsets=(11, 14))
case("CumSum", [X, I64(-1)], opsets=(14,), exclusive=1, reverse=1)
case("CumSum", [("int64", X), i(2)], opsets=(14,), reverse=1, out_type=INT64)
case("GatherElements", [X, RNG.integers(-5, 5, (2, 3, 4, 7))], opsets=(11, 13), axis=2)
case("GatherND", [X, RNG.integers(-2, 2, (3, 2))], opsets=(11, 13))
case("GatherND", [X, RNG.integers(0, 5, (2, 6, 3, 1))], opsets=(12,), batch_dims=2)
case("Scatter", [X, RNG.integers(0, 6, (1, 4, 2, 3)), f(1, 4, 2, 3)], opsets=(9,), axis=1)
ONCE = np.argsort(RNG.random((2, 6, 3, 5)), 1)[:, :4]
case("ScatterElements", [X, ONCE, f(2, 4, 3, 5)], opsets=(11, 13), axis=1)
for reduction, opset in (("add", 16), ("mul", 16), ("max", 18), ("min", 18)):
    case("ScatterElements", [X, ONCE % 3, f(2, 4, 3, 5)], opsets=(opset,), axis=-3, reduction=reduction)
    case("ScatterND", [X, i(1, 0, 1, 3, 1, 0).reshape(3, 2), f(3, 5, 7)], opsets=(opset,), reduction=reduction)
case("ScatterND", [X, i(1, 0, 0, 3).reshape(2, 2), f(2, 5, 7)], opsets=(11, 13))
case("OneHot", [("int64", (2, 3)), i(4), np.array([-1, 2], F32)], opsets=(9, 11))
case("OneHot", [np.array([[-4, 3, 4], [-5, 0, 1]]), I64(4), i(7, 9)], opsets=(11,), axis=0, out_type=INT64)
case("Range", [F32(0.5), F32(3), F32(0.7)], opsets=(11,))
case("Range", [I64(7), I64(-3), I64(-4)], opsets=(11,), out_type=INT64)
case("Trilu", [X], opsets=(14,))
case("Trilu", [("int64", (2, 5, 4)), I64(-1)], opsets=(14,), upper=0, out_type=INT64)
case("EyeLike", [(4, 6)], opsets=(9,), k=1)
case("EyeLike", [(4, 3)], opsets=(9,), k=-1, dtype=INT64, out_type=INT64)
case("ReverseSequence", [(5, 3, 2), i(2, 5, 1)], opsets=(10,))
case("ReverseSequence", [(3, 5, 2, 2), i(2, 5, 1)], opsets=(10,), batch_axis=0, time_axis=1)
case("Compress", [X, np.array([0, 1, 1, 0, 1], bool)], opsets=(9, 11), axis=2)
case("Compress", [X, np.array([0, 1, 1, 0, 1], bool)], opsets=(9,))
case("Compress", [X, ("bool", (5,))], opsets=(11,), axis=2, name="computed")
case("NonZero", [("bool", X)], opsets=(9, 13), out_type=INT64)
case("NonZero", [("int64", (3, 40))], opsets=(13,), out_type=INT64)
BOXES, SCORES = f(2, 60, 4), (2, 3, 60)
case("NonMaxSuppression", [BOXES, SCORES, i(7), F32(0.3), F32(0.1)], opsets=(10, 11), out_type=INT64)
case("NonMaxSuppression", [(2, 60, 4), f(*SCORES), i(100), F32(0.1)], opsets=(11,), out_type=INT64, low=0.1)
case("NonMaxSuppression", [np.abs(BOXES), SCORES, i(100), F32(0.2), F32(-1)], opsets=(11,), out_type=INT64,
     center_point_box=1)
case("NonMaxSuppression", [BOXES, SCORES], opsets=(11,), out_type=INT64, name="no boxes by default")
GRID = RNG.uniform(-1.3, 1.3, (2, 4, 6, 2)).astype(F32)
for mode in ("bilinear", "nearest", "bicubic"):
    for padding in ("zeros", "border", "reflection"):
        for align in (0, 1):
            case("GridSample", [X, GRID], opsets=(16,), mode=mode, padding_mode=padding, align_corners=align)
case("GridSample", [X, (2, 3, 3, 2)], opsets=(20,), mode="cubic")

case("ConvTranspose", [X, f(6, 4, 3, 3)], opsets=(7, 11))
case("ConvTranspose", [X, f(6, 4, 2, 2), f(4)], strides=[2, 2], name="2x2 stride 2")
case("ConvTranspose", [X, f(6, 4, 4, 4), f(4)], strides=[2, 2], pads=[1, 1, 1, 1])
case("ConvTranspose", [X, f(6, 4, 3, 3), f(4)], strides=[2, 2], pads=[1, 0, 2, 1], output_padding=[1, 1])
case("ConvTranspose", [X, f(6, 2, 3, 2)], strides=[3, 2], dilations=[2, 3], group=3)
case("ConvTranspose", [X, f(6, 1, 4, 4), f(6)], strides=[2, 2], pads=[1, 1, 1, 1], group=6, name="depthwise")
case("ConvTranspose", [X, f(6, 4, 2, 1)], strides=[3, 4], output_padding=[2, 3], name="gaps")
for auto_pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
    case("ConvTranspose", [X, f(6, 4, 3, 4)], strides=[2, 3], auto_pad=auto_pad)
case("ConvTranspose", [X, f(6, 4, 3, 3), f(4)], strides=[2, 2], output_shape=[10, 15])
case("ConvTranspose", [X, f(6, 4, 3, 3), f(4)], strides=[2, 2], output_shape=[11, 14], auto_pad="SAME_UPPER")
case("ConvTranspose", [(2, 4, 9), f(4, 3, 4), f(3)], strides=[2], pads=[1, 2], name="1-D")
case("ConvTranspose", [(2, 4, 9), f(4, 3, 3), f(3)], strides=[1], dilations=[2], name="1-D dilated")

SEQUENCE = (5, 3, 4)  # time, batch, features
LENGTHS = np.array([5, 2, 4], np.int32)
for op, gates, outs in (("LSTM", 4, 3), ("GRU", 3, 2), ("RNN", 1, 2)):
    for directions, direction in ((1, "forward"), (1, "reverse"), (2, "bidirectional")):
        rows = gates * 6
        weights = [f(directions, rows, 4), f(directions, rows, 6)]
        case(op, [SEQUENCE, *weights], opsets=(7, 14), outputs=outs, hidden_size=6, direction=direction)
        states = [(directions, 3, 6)] * (outs - 1)
        more = [f(directions, 3 * 6)] if op == "LSTM" else []
        for attrs in ({}, {"clip": 0.5}, {"input_forget": 1} if op == "LSTM" else {"linear_before_reset": 1}):
            if op != "RNN" or "linear_before_reset" not in attrs:
                case(op, [SEQUENCE, *weights, f(directions, 2 * rows), LENGTHS, *states, *more], opsets=(14,),
                     outputs=outs,
                     hidden_size=6, direction=direction, **attrs)
case("LSTM", [SEQUENCE, f(1, 24, 4), f(1, 24, 6)], opsets=(14,), outputs=3, hidden_size=6,
     activations=["HardSigmoid", "Relu", "Softplus"])
case("RNN", [SEQUENCE, f(1, 6, 4), f(1, 6, 6)], opsets=(14,), outputs=2, hidden_size=6, activations=["Relu"])

case("LpPool", [X], opsets=(7, 11, 18), kernel_shape=[3, 2], strides=[2, 1])
case("LpPool", [X], opsets=(11,), kernel_shape=[3, 2], p=1)
case("LpPool", [X], opsets=(18,), kernel_shape=[2, 2], p=3, auto_pad="SAME_UPPER")
case("LpPool", [(2, 3, 9)], opsets=(18,), kernel_shape=[2], dilations=[2], pads=[1, 1])
case("GlobalLpPool", [X], p=1)
case("GlobalLpPool", [X], p=3)
case("LpNormalization", [X], opsets=(7,), axis=1)
case("LpNormalization", [X], opsets=(7,), axis=-1, p=1)
case("LRN", [X], opsets=(7, 13), size=3)
case("LRN", [X], size=5, alpha=0.3, beta=0.5, bias=2.0)
case("InstanceNormalization", [X, (6,), (6,)], opsets=(13,), name="computed")
case("LayerNormalization", [X, f(7), f(7)], opsets=(17,))
case("LayerNormalization", [X, f(6, 5, 7)], opsets=(17,), axis=1, outputs=3, epsilon=1e-3)
case("MeanVarianceNormalization", [X], opsets=(9, 13))
case("MeanVarianceNormalization", [X], opsets=(13,), axes=[1, 2])

case("DynamicQuantizeLinear", [X], opsets=(11,), outputs=3,
     out_type=[TensorProto.UINT8, TensorProto.FLOAT, TensorProto.UINT8])
U8, S8 = TensorProto.UINT8, TensorProto.INT8


def q(kind, *shape):
    limits = np.iinfo(kind)
    return RNG.integers(limits.min, limits.max, shape, kind, endpoint=True)


# Scales that are powers of two: what lies between two quanta does so in every order of multiplying.
QW = [q(np.int8, 4, 6, 3, 3), F32(2**-7), np.int8(0)]
QROWS = [q(np.int8, 4, 6, 3, 3), np.array([2**-7, 2**-6, 2**-8, 2**-9], F32), np.zeros(4, np.int8)]
for weights in (QW, QROWS):
    case("QLinearConv", [("uint8", X), F32(0.5), np.uint8(3), *weights, F32(1), np.uint8(100)],
         opsets=(10,), out_type=U8, pads=[1] * 4)
case("QLinearConv", [("int8", X), F32(0.5), np.int8(3), *QW, F32(1), np.int8(-5), RNG.integers(-99, 99, 4, np.int32)],
     opsets=(10,), out_type=S8, strides=[2, 2])
case("ConvInteger", [("uint8", X), q(np.uint8, 4, 6, 3, 3), np.uint8(4), np.uint8(99)], opsets=(10,),
     out_type=TensorProto.INT32, pads=[1] * 4)
case("QLinearMatMul", [("uint8", (4, 6)), F32(0.25), np.uint8(4), q(np.uint8, 6, 5), F32(2**-5), np.uint8(120),
                       F32(0.5),
                       np.uint8(90)], opsets=(10,), out_type=U8)
case("MatMulInteger", [("uint8", (2, 4, 6)), q(np.int8, 6, 5), np.uint8(4), np.int8(3)], opsets=(10,),
     out_type=TensorProto.INT32)
case("MatMulInteger", [("uint8", (4, 6)), q(np.int8, 6, 5), np.uint8(1), q(np.int8, 5)], opsets=(10,),
     out_type=TensorProto.INT32)
case("MatMulInteger", [("uint8", (4, 6)), ("uint8", (6, 5))], opsets=(10,), out_type=TensorProto.INT32)

BOXES = np.array([[0, 0, 6, 4], [1.5, 0.25, 5.75, 3], [-2, -3, 12, 9], [3, 3, 2, 2], [2, 1, 2.25, 1.125]], F32)
WHICH = i(0, 1, 1, 0, 1)
for opset in (10, 16):
    case("RoiAlign", [X, BOXES, WHICH], opsets=(opset,), output_height=3, output_width=2, sampling_ratio=2)
    case("RoiAlign", [X, BOXES, WHICH], opsets=(opset,), output_height=2, output_width=4, spatial_scale=0.75)
    case("RoiAlign", [X, BOXES, WHICH], opsets=(opset,), output_height=2, output_width=2, sampling_ratio=3, mode="max")
case("RoiAlign", [X, BOXES, WHICH], opsets=(16,), coordinate_transformation_mode="output_half_pixel")
for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
    case(op, [("int32", X), q(np.int32, 6, 5, 7)], opsets=(18,), out_type=TensorProto.INT32)
    case(op, [("uint8", X), q(np.uint8, 7)], opsets=(18,), out_type=U8)
case("BitwiseNot", [("uint8", X)], opsets=(18,), out_type=U8)
case("BitwiseNot", [("int64", X)], opsets=(18,), out_type=TensorProto.INT64)
for direction in ("LEFT", "RIGHT"):
    case("BitShift", [("uint8", X), q(np.uint8, 7) % 8], opsets=(11,), out_type=U8, direction=direction)
for size, onesided in ((16, 1), (15, 0)):
    case("STFT", [(2, 64, 1), np.int64(5), f(size)], opsets=(17,), onesided=onesided)
    case("STFT", [(2, 64, 1), np.int64(8), None, np.int64(size)], opsets=(17,), onesided=onesided)
case("STFT", [(2, 64), np.int64(8), f(12)], opsets=(17,))
case("STFT", [(2, 64, 2), np.int64(8), f(12)], opsets=(17,), onesided=0)
for last in (1, 2):
    case("DFT", [(2, 9, 12, last)], opsets=(17,), axis=2)
    case("DFT", [(2, 9, 12, last), None, i(1)[0]], opsets=(20,))
    for length in (7, 16):
        case("DFT", [(2, 12, last), np.int64(length)], opsets=(17, 20))
case("DFT", [(2, 12, 2)], opsets=(17, 20), inverse=1)
case("DFT", [(2, 12, 1)], opsets=(17, 20), onesided=1)
case("Col2Im", [(2, 12, 16), i(5, 6), i(2, 3)], opsets=(18,))
case("Col2Im", [(2, 12, 12), i(6, 9), i(2, 3)], opsets=(18,), strides=[2, 3], pads=[1, 1, 1, 1])
case("Col2Im", [(2, 12, 4), i(6, 8), i(2, 3)], opsets=(18,), dilations=[2, 2], strides=[2, 2])
KERNEL = f(8, 3, 3, 3)
case("DeformConv", [X, KERNEL, (2, 18, 5, 7), f(8)], opsets=(19,), pads=[1] * 4, group=2)
case("DeformConv", [X, f(4, 6, 2, 3), (2, 36, 3, 4), None, (2, 18, 3, 4)], opsets=(19,), strides=[2, 2], offset_group=3,
     pads=[1, 1, 0, 1])
case("DeformConv", [X, KERNEL, (2, 36, 3, 3), f(8)], opsets=(19,), dilations=[1, 2], group=2, offset_group=2)

# onnxruntime's own. Thirds of quanta: its kernels do not agree on where to round halves.
MS = "com.microsoft."
SCALED = [F32(0.5), np.uint8(3)]
OUT = [F32(0.75), np.uint8(100)]
XQ = ("uint8", X)
case(MS + "QuantizeLinear", [X, F32(0.05), np.uint8(10)], opsets=(13,), out_type=U8)
case(MS + "DequantizeLinear", [XQ, F32(0.05), np.uint8(10)], opsets=(13,))
case(MS + "QLinearAdd", [XQ, *SCALED, ("uint8", (6, 1, 7)), *SCALED, *OUT], opsets=(13,), out_type=U8)
case(MS + "QLinearMul", [XQ, *SCALED, q(np.uint8, 6, 5, 7), *SCALED, *OUT], opsets=(13,), out_type=U8)
case(MS + "QLinearSigmoid", [XQ, F32(0.3), np.uint8(4), F32(1 / 256), np.uint8(0)], opsets=(13,), out_type=U8)
case(MS + "QLinearLeakyRelu", [("int8", X), F32(0.5), np.int8(4), F32(0.75), np.int8(-3)], opsets=(13,), out_type=S8,
     alpha=0.125)
case(MS + "QLinearSoftmax", [XQ, F32(0.3), np.uint8(4), F32(1 / 256), np.uint8(0)], opsets=(13,), out_type=U8, axis=1,
     opset=13)
case(MS + "QLinearSoftmax", [XQ, F32(0.3), np.uint8(4), F32(1 / 256), np.uint8(0)], opsets=(13,), out_type=U8, axis=2,
     opset=11)
case(MS + "QLinearConcat", [*OUT, XQ, *SCALED, ("uint8", (2, 3, 5, 7)), F32(0.25), np.uint8(0)], opsets=(13,),
     out_type=U8,
     axis=1)
case(MS + "QLinearGlobalAveragePool", [XQ, *SCALED, *OUT], opsets=(13,), out_type=U8)
case(MS + "QLinearGlobalAveragePool", [XQ, *SCALED, *OUT], opsets=(13,), out_type=U8, channels_last=1)
case(MS + "QLinearAveragePool", [XQ, *SCALED, *OUT], opsets=(13,), out_type=U8, kernel_shape=[2, 2], strides=[2, 1])
case(MS + "QGemm", [("uint8", (4, 6)), *SCALED, q(np.int8, 6, 5), F32(0.125), np.int8(0),
                    RNG.integers(-99, 99, 5, np.int32),
                    F32(2), np.uint8(128)], opsets=(13,), out_type=U8)
case(MS + "QGemm", [("uint8", (6, 4)), *SCALED, q(np.int8, 5, 6), np.abs(f(5)) + F32(0.1), np.zeros(5, np.int8)],
     opsets=(13,),
     transA=1, transB=1, alpha=0.5)

for op in ("Gelu", "FastGelu", "QuickGelu"):
    case(MS + op, [X], opsets=(13,))
case(MS + "QuickGelu", [X], opsets=(13,), alpha=0.5)
case(MS + "BiasGelu", [X, f(7)], opsets=(13,))
case(MS + "FastGelu", [X, f(7)], opsets=(13,))
KERNEL = f(8, 6, 3, 3)
case(MS + "FusedConv", [X, KERNEL, f(8)], opsets=(13,), pads=[1] * 4)
for activation, parameters in {"Relu": [], "Tanh": [], "Sigmoid": [], "LeakyRelu": [0.2], "Clip": [-0.5, 0.25],
                               "HardSigmoid": [0.25, 0.375]}.items():
    case(MS + "FusedConv", [X, KERNEL, f(8), (2, 8, 3, 5)], opsets=(13,), activation=activation,
         **({"activation_params": parameters} if parameters else {}))
case(MS + "FusedGemm", [(4, 6), f(5, 6), f(5)], opsets=(13,), transB=1, activation="Relu")
case(MS + "FusedGemm", [(6, 4), f(6, 5), f(4, 5)], opsets=(13,), transA=1, alpha=0.5, activation="LeakyRelu",
     activation_alpha=0.125)
for name in ("FusedMatMul", "TransposeMatMul"):
    case(MS + name, [(2, 3, 4, 5), (2, 3, 6, 5)], opsets=(13,), alpha=0.125, transB=1)
    case(MS + name, [(2, 6, 4), f(6, 5)], opsets=(13,), transA=1)
case(MS + "FusedMatMul", [(2, 4, 6), f(5, 6)], opsets=(13,), transB=1, alpha=2.0)
case(MS + "FusedMatMul", [(4, 2, 6), f(2, 5, 6)], opsets=(13,), transBatchA=1, transB=1)
case(MS + "FusedMatMul", [(3, 6), (2, 6, 5)], opsets=(13,), alpha=-1.0)
ROWS = (2, 3, 8)
case(MS + "SkipLayerNormalization", [ROWS, ROWS, f(8), f(8), f(8)], opsets=(13,), epsilon=1e-5)
case(MS + "SkipLayerNormalization", [ROWS, ROWS, f(8)], opsets=(13,))
case(MS + "SkipSimplifiedLayerNormalization", [ROWS, ROWS, f(8), f(8)], opsets=(13,), epsilon=1e-5)
case(MS + "NhwcMaxPool", [("uint8", (2, 7, 9, 6))], opsets=(13,), out_type=U8, kernel_shape=[3, 3], strides=[2, 2],
     pads=[1, 1, 1, 1])
case(MS + "ExpandDims", [X, np.array(1, np.int32)], opsets=(13,))
case(MS + "GridSample", [X, (2, 3, 4, 2)], opsets=(13,), low=-1.2, high=1.2, mode="bilinear", padding_mode="border")
case(MS + "Trilu", [X, np.array(1, I64)], opsets=(13,), upper=0)
case("LayerNormalization", [ROWS, f(8), f(8)], opsets=(7, 13), axis=-1)
case("GroupNormalization", [X, f(3), f(3)], opsets=(18, 20), num_groups=3)  # by group
case("GroupNormalization", [X, f(6), f(6)], opsets=(21,), num_groups=3, epsilon=1e-2)
case("SimplifiedLayerNormalization", [ROWS, f(8)], opsets=(7, 13), epsilon=1e-5)
case("ImageScaler", [X, ], opsets=(7,), scale=0.5, bias=[0.1, 0.2, 0.3, -0.4, -0.5, 0.6])
case("Affine", [X], opsets=(7,), alpha=0.5, beta=2.0)
case("ScaledTanh", [X], opsets=(7,), alpha=0.5, beta=2.0)
case("ParametricSoftplus", [X], opsets=(7,), alpha=0.5, beta=2.0)
case("Crop", [X], opsets=(7,), border=[1, 0, 2, 1])
case("Crop", [X], opsets=(7,), border=[1, 2, 0, 0], scale=[2, 3])

# ONNX's operators that have no kernel in onnxruntime as a node of their own are tested by test_onnx_model.py or by
# ONNX's node cases alone; Einsum, AffineGrid, MaxUnpool, control flow and sequences have files of their own.
ELSEWHERE = {"Swish", "RMSNormalization", "Einsum", "AffineGrid", "MaxUnpool"}
ELSEWHERE |= {"If", "Loop", "Scan"}
ELSEWHERE |= {name for name in supported_ops() if "Sequence" in name} - {"ReverseSequence"}


def test_every_operator_has_a_case():
    known = {*supported_ops(), *(MS + name for name in supported_ops("com.microsoft"))}
    assert known - ELSEWHERE == {p.values[0] for p in CASES}


def made_of(op, inputs, opset, outputs, out_type, attrs):
    fed, constants, names = {}, {}, []
    for k, given in enumerate(inputs):
        name = "" if given is None else f"i{k}"
        names.append(name)
        if isinstance(given, tuple):
            typed = bool(given) and isinstance(given[0], str)
            fed[name] = (np.dtype(given[0]), given[1]) if typed else given
        elif given is not None:
            constants[name] = given
    made = [f"o{k}" for k in range(outputs)]
    kinds = out_type if isinstance(out_type, list) else [out_type] * outputs
    domain, _, op_type = op.rpartition(".")
    nodes = [helper.make_node(op_type, names, made, name="it", domain=domain, **attrs)]
    if not fed:  # a model needs an input
        fed = {"unused": (1,)}
        nodes.append(helper.make_node("Identity", ["unused"], ["copy"]))
        out = {**dict(zip(made, kinds)), "copy": TensorProto.FLOAT}
    else:
        out = dict(zip(made, kinds))
    model = make_model(nodes, fed, out, constants, opset)
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    return model


@pytest.mark.parametrize("op, inputs, opset, outputs, out_type, low, high, attrs", CASES)
def test_operator(op, inputs, opset, outputs, out_type, low, high, attrs):
    agree(made_of(op, inputs, opset, outputs, out_type, attrs), low=low, high=high)


@pytest.mark.parametrize("op, inputs, opset, outputs, out_type, low, high, attrs", CASES)
def test_operator_of_constants(op, inputs, opset, outputs, out_type, low, high, attrs):
    """What is computed while converting is what would be computed later."""
    fed = random_feeds(made_of(op, inputs, opset, outputs, out_type, attrs), 1, low, high)
    inputs = [fed.get(f"i{k}", given) for k, given in enumerate(inputs)]
    model = made_of(op, inputs, opset, outputs, out_type, attrs)
    feeds = {"unused": np.zeros(1, F32)}
    expected = reference(model, feeds, optimized=False)
    session = sr.Session(sr.convert(model).data)
    assert_close(dict(zip([o.name for o in session.outputs], session.run(None, feeds))), expected)
