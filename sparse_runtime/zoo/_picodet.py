"""PicoDet-m: ESNet 1.0 backbone, CSP-PAN neck of 128 channels, four heads with weights of their own; 80 classes.

Outputs, level by level (strides 8, 16, 32, 64): cls_pL [N, h*w, 80] after sigmoid, reg_pL [N, h*w, 32] raw.
"""

from ._builder import Graph, Value

_STAGES = [  # channels, mid channels of the blocks
    (128, [112, 64, 128]),
    (256, [160, 128, 192, 160, 160, 128, 160]),
    (512, [512, 320, 384]),
]
_NECK = 128
_CLASSES, _BOX = 80, 32
_ACT = "hswish"


def picodet_m(g: Graph):
    levels = _neck(_backbone(g.input()))
    classes, boxes = [], []
    for level, x in enumerate(levels, start=3):
        name = f"head.p{level}"
        cls, box = _head(x, name).split(_CLASSES, _BOX)
        rows = x.spatial[0] * x.spatial[1] if not x.graph.dynamic else f"HW_p{level}"
        classes.append((f"cls_p{level}", cls.sigmoid().to_rows(), [rows, _CLASSES]))
        boxes.append((f"reg_p{level}", box.to_rows(), [rows, _BOX]))
    return classes + boxes


def _backbone(x: Value) -> list[Value]:
    x = x.conv_bn("backbone.stem", 24, k=3, stride=2, act=_ACT).max_pool()
    features = []
    for stage, (channels, mids) in enumerate(_STAGES, start=2):
        for block, mid in enumerate(mids):
            unit = _down if block == 0 else _unit
            x = unit(x, f"backbone.stage{stage}.{block}", channels, mid)
        features.append(x)
    return features


def _se(x: Value, name) -> Value:
    return x.squeeze_excite(f"{name}.se", x.channels // 4)


def _down(x: Value, name, channels, mid) -> Value:
    left = x.depthwise(f"{name}.branch1.dw", stride=2).conv_bn(f"{name}.branch1.pw", channels // 2, act=_ACT)
    right = x.conv_bn(f"{name}.branch2.pw1", mid // 2, act=_ACT).depthwise(f"{name}.branch2.dw", stride=2)
    right = _se(right, f"{name}.branch2").conv_bn(f"{name}.branch2.pw2", channels // 2, act=_ACT)
    return left.concat(right).depthwise(f"{name}.merge.dw", act=_ACT).conv_bn(f"{name}.merge.pw", channels, act=_ACT)


def _unit(x: Value, name, channels, mid) -> Value:
    left, right = x.split(channels // 2, channels // 2)
    point = right.conv_bn(f"{name}.pw1", mid // 2, act=_ACT)
    right = _se(point.concat(point.depthwise(f"{name}.dw")), name)
    return left.concat(right.conv_bn(f"{name}.pw2", channels // 2, act=_ACT)).shuffle()


def _dp(x: Value, name, channels=_NECK, stride=1) -> Value:
    """Depthwise 5x5 and pointwise, each with its activation."""
    return x.depthwise(f"{name}.dw", k=5, stride=stride, act=_ACT).conv_bn(f"{name}.pw", channels, act=_ACT)


def _csp(x: Value, name) -> Value:
    half = _NECK // 2
    main = x.conv_bn(f"{name}.main", half, act=_ACT).conv_bn(f"{name}.block.pw", half, act=_ACT)
    short = x.conv_bn(f"{name}.short", half, act=_ACT)
    return _dp(main, f"{name}.block.dp", half).concat(short).conv_bn(f"{name}.final", _NECK, act=_ACT)


def _neck(features: list[Value]) -> list[Value]:
    laterals = [x.conv_bn(f"neck.lateral{i}", _NECK, act=_ACT) for i, x in enumerate(features, start=3)]
    p3, p4, p5 = laterals
    p4 = _csp(p5.upsample().concat(p4), "neck.top_down.p4")
    p3 = _csp(p4.upsample().concat(p3), "neck.top_down.p3")
    p4 = _csp(_dp(p3, "neck.down.p4", stride=2).concat(p4), "neck.bottom_up.p4")
    out5 = _csp(_dp(p4, "neck.down.p5", stride=2).concat(p5), "neck.bottom_up.p5")
    p6 = _dp(p5, "neck.p6.lateral", stride=2).add(_dp(out5, "neck.p6.out", stride=2))
    return [p3, p4, out5, p6]


def _head(x: Value, name) -> Value:
    for i in range(4):
        x = _dp(x, f"{name}.{i}")
    return x.conv(f"{name}.out", _CLASSES + _BOX)
