"""PP-LCNet x1.0, 1000 classes."""

from ._builder import Graph

_PLAN = [  # depthwise kernel, out, stride, squeeze-and-excite
    (3, 32, 1, False),
    (3, 64, 2, False),
    (3, 64, 1, False),
    (3, 128, 2, False),
    (3, 128, 1, False),
    (3, 256, 2, False),
    *[(5, 256, 1, False)] * 5,
    (5, 512, 2, True),
    (5, 512, 1, True),
]


def pp_lcnet(g: Graph):
    x = g.input().conv_bn("stem", 16, k=3, stride=2, act="hswish")
    for i, (k, channels, stride, se) in enumerate(_PLAN):
        x = x.depthwise(f"block{i}.dw", k=k, stride=stride, act="hswish")
        if se:
            x = x.squeeze_excite(f"block{i}.se", x.channels // 4)
        x = x.conv_bn(f"block{i}.pw", channels, act="hswish")
    x = x.global_pool().conv("last", 1280, bias=False, act="hswish").flatten()
    return [("logits", x.fc("classifier", 1000), [1000])]
