"""MobileNet V1, V2 and V3 (width 1.0), 1000 classes."""

from ._builder import Graph, Value


def mobilenet_v1(g: Graph):
    x = g.input().conv_bn("stem", 32, k=3, stride=2, act="relu")
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for i, (channels, stride) in enumerate(plan):
        x = x.depthwise(f"block{i}.dw", stride=stride, act="relu")
        x = x.conv_bn(f"block{i}.pw", channels, act="relu")
    return [("logits", x.global_pool().flatten().fc("classifier", 1000), [1000])]


def mobilenet_v2(g: Graph):
    x = g.input().conv_bn("stem", 32, k=3, stride=2, act="relu6")
    plan = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    index = 0
    for expansion, channels, repeats, first_stride in plan:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            expanded = x.channels * expansion
            x = _inverted_residual(x, f"block{index}", 3, expanded, channels, stride, "relu6", se=False)
            index += 1
    x = x.conv_bn("last", 1280, act="relu6")
    return [("logits", x.global_pool().flatten().fc("classifier", 1000), [1000])]


_V3_SMALL = [  # kernel, expanded, out, squeeze-and-excite, activation, stride
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hswish", 2),
    (5, 240, 40, True, "hswish", 1),
    (5, 240, 40, True, "hswish", 1),
    (5, 120, 48, True, "hswish", 1),
    (5, 144, 48, True, "hswish", 1),
    (5, 288, 96, True, "hswish", 2),
    (5, 576, 96, True, "hswish", 1),
    (5, 576, 96, True, "hswish", 1),
]
_V3_LARGE = [
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hswish", 2),
    (3, 200, 80, False, "hswish", 1),
    (3, 184, 80, False, "hswish", 1),
    (3, 184, 80, False, "hswish", 1),
    (3, 480, 112, True, "hswish", 1),
    (3, 672, 112, True, "hswish", 1),
    (5, 672, 160, True, "hswish", 2),
    (5, 960, 160, True, "hswish", 1),
    (5, 960, 160, True, "hswish", 1),
]


def mobilenet_v3_small(g: Graph):
    return _v3(g, _V3_SMALL, hidden=1024)


def mobilenet_v3_large(g: Graph):
    return _v3(g, _V3_LARGE, hidden=1280)


def _v3(g: Graph, plan, hidden):
    x = g.input().conv_bn("stem", 16, k=3, stride=2, act="hswish")
    for i, (k, expanded, channels, se, act, stride) in enumerate(plan):
        x = _inverted_residual(x, f"block{i}", k, expanded, channels, stride, act, se)
    x = x.conv_bn("last", x.channels * 6, act="hswish").global_pool().flatten()
    return [("logits", x.fc("classifier.0", hidden).act("hswish").fc("classifier.1", 1000), [1000])]


def _inverted_residual(x: Value, name, k, expanded, channels, stride, act, se) -> Value:
    y = x
    if expanded != x.channels:
        y = y.conv_bn(f"{name}.expand", expanded, act=act)
    y = y.depthwise(f"{name}.dw", k=k, stride=stride, act=act)
    if se:
        y = y.squeeze_excite(f"{name}.se", _multiple_of_8(expanded / 4))
    y = y.conv_bn(f"{name}.project", channels)
    return x.add(y) if stride == 1 and channels == x.channels else y


def _multiple_of_8(value: float) -> int:
    """The nearest multiple of 8, at least 8, and not more than a tenth below the value."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * value else rounded + 8
