"""ShuffleNetV2 x1.0, 1000 classes."""

from ._builder import Graph, Value


def shufflenet_v2(g: Graph):
    x = g.input().conv_bn("stem", 24, k=3, stride=2, act="relu").max_pool()
    for stage, (channels, blocks) in enumerate([(116, 4), (232, 8), (464, 4)], start=2):
        for block in range(blocks):
            unit = _down if block == 0 else _unit
            x = unit(x, f"stage{stage}.{block}", channels)
    x = x.conv_bn("last", 1024, act="relu").global_pool()
    return [("logits", x.fc("classifier", 1000), [1000])]


def _down(x: Value, name, channels) -> Value:
    left = x.depthwise(f"{name}.branch1.dw", stride=2).conv_bn(f"{name}.branch1.pw", channels // 2, act="relu")
    return left.concat(_branch(x, f"{name}.branch2", channels // 2, stride=2)).shuffle()


def _unit(x: Value, name, channels) -> Value:
    left, right = x.split(channels // 2, channels // 2)
    return left.concat(_branch(right, f"{name}.branch2", channels // 2, stride=1)).shuffle()


def _branch(x: Value, name, channels, stride) -> Value:
    x = x.conv_bn(f"{name}.pw1", channels, act="relu").depthwise(f"{name}.dw", stride=stride)
    return x.conv_bn(f"{name}.pw2", channels, act="relu")
