"""Operators that move, cut, join and describe tensors."""

from __future__ import annotations

import numpy as np

from ..registry import Call, Unsupported, op

_INT64_MAX = (1 << 63) - 1


def _list(c: Call, name: str, index: int, attr_until: int):
    """An argument that is an attribute before opset `attr_until` and the input `index` since; None where it is not
    given."""
    if c.opset >= attr_until:
        return c.get(index)
    return None if c.attr(name) is None else c.ints(c.attr(name), name)


@op("Constant")
def constant(c: Call):
    forms = [name for name in c.attrs if name.startswith("value") or name == "sparse_value"]
    if len(forms) != 1:
        raise ValueError(f"one of value, value_float ... is needed, got {forms or 'none'}")
    name, value = forms[0], c.attrs[forms[0]]
    if name == "value":
        return c.constant(c.read_array(value, "its value"), "value")
    if name == "sparse_value":
        return c.constant(c.read_sparse(value, "its value"), "value")
    if name.startswith("value_string"):
        raise Unsupported("strings", "numbers")
    return c.constant(np.asarray(value, np.float32 if "float" in name else np.int64), "value")


@op("ConstantOfShape")
def constant_of_shape(c: Call):
    value = c.attr("value")
    fill = None if value is None else c.constant(c.read_array(value, "value").reshape(-1), "value")
    return c.emit("ConstantOfShape", c.x(), fill)


@op("Shape")
def shape(c: Call):
    return c.emit("Shape", c.x(), start=c.attr("start", 0), end=c.attr("end", _INT64_MAX))


@op("Size")
def size(c: Call):
    return c.emit("Reduce", c.emit("Shape", c.x()), fn="prod", keepdims=0)


@op("Reshape")
def reshape(c: Call):
    return c.emit("Reshape", c.x(), c.x(1), allowzero=c.attr("allowzero", 0))


@op("Flatten")
def flatten(c: Call):
    return c.emit("Flatten", c.x(), axis=c.attr("axis", 1))


@op("Squeeze")
def squeeze(c: Call):
    return c.emit("Squeeze", c.x(), _list(c, "axes", 1, 13))


@op("Unsqueeze")
def unsqueeze(c: Call):
    return c.emit("Unsqueeze", c.x(), _list(c, "axes", 1, 13))


@op("Transpose")
def transpose(c: Call):
    return c.emit("Transpose", c.x(), perm=c.attr("perm", ()))


@op("Expand", "Tile")
def repeat(c: Call):
    return c.emit(c.op, c.x(), c.x(1))


@op("Concat")
def concat(c: Call):
    return c.emit("Concat", *[c.x(i) for i in range(len(c.inputs))], axis=c.need("axis"))


@op("Split")
def split(c: Call):
    """Without sizes in equal parts, of which since opset 18 the last may be smaller."""
    count = len(c.used_outputs)
    if c.attr("num_outputs", count) != count:
        raise ValueError(f"num_outputs is {c.attr('num_outputs')} but the node has {count} outputs")
    return c.emit_many("Split", [c.x(), _list(c, "split", 1, 13)], count, axis=c.attr("axis", 0))


@op("Slice")
def slice_(c: Call):
    if c.opset >= 10:
        return c.emit("Slice", *[c.get(i) for i in range(5)])
    return c.emit(
        "Slice", c.x(), c.ints(c.need("starts"), "starts"), c.ints(c.need("ends"), "ends"), _list(c, "axes", 3, 10)
    )


@op("Gather")
def gather(c: Call):
    return c.emit("Gather", c.x(), c.x(1), axis=c.attr("axis", 0))


@op("Pad")
def pad(c: Call):
    mode = c.choice("mode", c.text("mode", "constant"), ("constant", "reflect", "edge", "wrap"))
    if c.opset >= 11:
        return c.emit("Pad", *[c.get(i) for i in range(4)], mode=mode)
    value = c.constant(np.float32(c.attr("value", 0.0)), "value") if mode == "constant" else None
    return c.emit("Pad", c.x(), c.ints(c.need("pads"), "pads"), value, mode=mode)


@op("DepthToSpace", "SpaceToDepth")
def depth_space(c: Call):
    """SpaceToDepth has a mode since opset 28, which before was always DCR."""
    return c.emit(c.op, c.x(), blocksize=c.need("blocksize"),
                  mode=c.choice("mode", c.text("mode", "DCR"), ("DCR", "CRD")))


_INTERPOLATIONS = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "cubic": "cubic"}


@op("Resize")
def resize(c: Call):
    mode = c.choice("mode", c.text("mode", "nearest"), tuple(_INTERPOLATIONS))
    if c.opset < 11:
        return _upsample(c, mode, c.x(1))
    coordinates = c.text("coordinate_transformation_mode", "half_pixel")
    c.choice(
        "coordinate_transformation_mode",
        coordinates,
        (
            "half_pixel",
            "half_pixel_symmetric",
            "pytorch_half_pixel",
            "align_corners",
            "asymmetric",
            "tf_half_pixel_for_nn",
            "tf_crop_and_resize",
        ),
    )
    roi, scales, sizes = (
        None if v is not None and v.is_const and not v.const.size else v for v in (c.get(1), c.get(2), c.get(3))
    )
    if (scales is None) == (sizes is None):
        raise ValueError("exactly one of scales and sizes has to be given")
    kind = c.dtype()
    interpolates = mode != "nearest" or coordinates == "tf_crop_and_resize"
    small = interpolates and kind in ("uint8", "int8", "uint16", "int16", "bool")
    y = c.emit(
        "Resize",
        c.cast(c.x(), "float32") if small else c.x(),
        roi if coordinates == "tf_crop_and_resize" else None,
        scales,
        sizes,
        mode=mode,
        coordinate_transformation_mode=coordinates,
        nearest_mode=c.text("nearest_mode", "round_prefer_floor"),
        cubic_coeff_a=c.attr("cubic_coeff_a", -0.75),
        exclude_outside=c.attr("exclude_outside", 0),
        extrapolation_value=c.attr("extrapolation_value", 0.0),
        antialias=c.attr("antialias", 0),
        axes=c.attr("axes", ()),
        keep_aspect_ratio_policy=c.text("keep_aspect_ratio_policy", "stretch"),
    )
    return c.cast(y, kind) if small else y


@op("Upsample")
def upsample(c: Call):
    mode = c.choice("mode", c.text("mode", "nearest"), ("nearest", "linear", "bilinear"))
    return _upsample(
        c, mode, c.x(1) if c.opset >= 9 else c.constant(np.asarray(c.need("scales"), np.float32), "scales")
    )


def _upsample(c: Call, mode: str, scales):
    """Resize as it was before opset 11: pixel i is read at i / scale, by ONNX's own test data rounded down where the
    image grows and up where it shrinks."""
    mode, nearest = _INTERPOLATIONS[mode], "floor"
    if mode == "nearest" and c.op == "Resize":
        factors = c.const(1, "scales").reshape(-1) if c.inputs[1:] else np.ones(0)
        if (factors < 1).any():
            if (factors > 1).any():
                raise Unsupported(
                    "nearest Resize that shrinks one axis and grows another, in opset 10", "either, or opset 11"
                )
            nearest = "ceil"
    return c.emit(
        "Resize", c.x(), None, scales, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode=nearest
    )
