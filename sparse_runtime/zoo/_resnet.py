"""ResNet-18, 1000 classes."""

from ._builder import Graph, Value


def resnet18(g: Graph):
    x = g.input().conv_bn("stem", 64, k=7, stride=2, act="relu").max_pool()
    for stage, channels in enumerate([64, 128, 256, 512], start=1):
        for block in range(2):
            x = _basic(x, f"stage{stage}.{block}", channels, stride=2 if block == 0 and stage > 1 else 1)
    return [("logits", x.global_pool().flatten().fc("classifier", 1000), [1000])]


def _basic(x: Value, name, channels, stride) -> Value:
    y = x.conv_bn(f"{name}.conv1", channels, k=3, stride=stride, act="relu").conv_bn(f"{name}.conv2", channels, k=3)
    if stride != 1 or channels != x.channels:
        x = x.conv_bn(f"{name}.shortcut", channels, stride=stride)
    return y.add(x).act("relu")
