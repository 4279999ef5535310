"""torch modules by way of torch.onnx, against torch's own answers."""

import subprocess
import sys

import numpy as np
import pytest
from oracle import error

import sparse_runtime as sr
from sparse_runtime.importers import as_onnx

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript, which torch.onnx needs, is not installed")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.nn.utils import prune  # noqa: E402


class ConvBN(nn.Sequential):
    def __init__(self, a, b, k=1, stride=1, groups=1, act=nn.ReLU6):
        conv = nn.Conv2d(a, b, k, stride, k // 2, groups=groups, bias=False)
        super().__init__(conv, nn.BatchNorm2d(b), *([act()] if act else []))


class Squeeze(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x):
        y = F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))
        return x * F.hardsigmoid(self.up(y))


class Inverted(nn.Module):
    """MobileNetV2's block; with squeeze and hard_swish V3's."""

    def __init__(self, a, b, stride, act=nn.ReLU6, k=3, squeeze=False):
        super().__init__()
        self.skip = stride == 1 and a == b
        inside = [ConvBN(a, 4 * a, act=act), ConvBN(4 * a, 4 * a, k, stride, 4 * a, act)]
        inside += [Squeeze(4 * a)] if squeeze else []
        self.body = nn.Sequential(*inside, ConvBN(4 * a, b, act=None))

    def forward(self, x):
        return x + self.body(x) if self.skip else self.body(x)


class MobileNet(nn.Module):
    def __init__(self, version):
        super().__init__()
        v3 = {"act": nn.Hardswish, "k": 5, "squeeze": True} if version == 3 else {}
        steps = [(16, 24, 2), (24, 24, 1), (24, 40, 2), (40, 40, 1)]
        blocks = [Inverted(*step, **v3) for step in steps]
        self.features = nn.Sequential(ConvBN(3, 16, 3, 2), *blocks, ConvBN(40, 160))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(160, 50), nn.Hardswish(), nn.Linear(50, 10))

    def forward(self, image):
        return self.classifier(F.adaptive_avg_pool2d(self.features(image), 1).flatten(1))


class ShuffleUnit(nn.Module):
    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            ConvBN(half, half, act=nn.ReLU),
            ConvBN(half, half, 3, groups=half, act=None),
            ConvBN(half, half, act=nn.ReLU),
        )

    def forward(self, x):
        kept, worked = x.chunk(2, 1)
        y = torch.cat((kept, self.branch(worked)), 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class ShuffleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(ConvBN(3, 24, 3, 2, act=nn.ReLU), nn.MaxPool2d(3, 2, 1))
        self.units = nn.Sequential(ShuffleUnit(24), ConvBN(24, 48, 3, 2), ShuffleUnit(48), ShuffleUnit(48))
        self.fc = nn.Linear(48, 10)

    def forward(self, image):
        return self.fc(self.units(self.stem(image)).mean((2, 3)))


class Segmenter(nn.Module):
    """Two resolutions, brought to the image's."""

    def __init__(self):
        super().__init__()
        self.high = nn.Sequential(ConvBN(3, 16, 3, 2), Inverted(16, 24, 2))
        self.low = nn.Sequential(Inverted(24, 40, 2), Inverted(40, 40, 1))
        self.lateral, self.head, self.up = nn.Conv2d(40, 24, 1), nn.Conv2d(24, 5, 1), nn.ConvTranspose2d(24, 24, 2, 2)

    def forward(self, image):
        high = self.high(image)
        low = F.interpolate(self.lateral(self.low(high)), size=high.shape[2:], mode="nearest")
        scores = self.head(self.up(high + low))
        return F.interpolate(scores, size=image.shape[2:], mode="bilinear", align_corners=False), scores.argmax(1)


NETS = {"mobilenet_v2": lambda: MobileNet(2), "mobilenet_v3": lambda: MobileNet(3), "shufflenet_v2": ShuffleNet,
        "segmenter": Segmenter}


def images(*shape):
    return torch.from_numpy(np.random.default_rng(7).standard_normal(shape).astype(np.float32))


def build(name, share=0.0):
    """A network with weights at which every layer matters, pruned by torch."""
    torch.manual_seed(3)
    net = NETS[name]()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    net.train()
    with torch.no_grad():
        net(images(4, 3, 64, 64))
    for part in net.modules():
        if share and isinstance(part, (nn.Conv2d, nn.Linear)) and part.weight[0, 0].numel() == 1:
            prune.l1_unstructured(part, "weight", share)
    return net.eval()


def told(net, x):
    with torch.no_grad():
        outputs = net(x)
    return [o.numpy() for o in (outputs if isinstance(outputs, tuple) else (outputs,))]


def agree(session, net, x):
    """Class numbers may differ where two scores tie but for rounding."""
    ours, theirs = session.run(None, {session.inputs[0].name: x.numpy()}), told(net, x)
    assert len(ours) == len(theirs)
    for actual, expected in zip(ours, theirs):
        assert actual.shape == expected.shape and actual.dtype == expected.dtype
        if expected.dtype == np.float32:
            assert error(actual, expected) <= 1e-4
        else:
            assert np.mean(actual != expected) <= 1e-3


@pytest.mark.parametrize("name", NETS)
def test_pruned_networks(name, tmp_path):
    net, x = build(name, 0.8), images(1, 3, 64, 64)
    report = sr.convert(net, tmp_path / "net.spr", example_inputs=x)
    small = [layer for layer in report.layers if layer.shape[2:] in ((), (1, 1)) and layer.name != "up"]
    assert len(small) > 5 and all(0.75 < layer.sparsity < 0.85 and layer.encoding != "dense" for layer in small)
    assert report.inputs == {"image": (1, 3, 64, 64)} and report.model == type(net).__name__
    for sparse in ("auto", "always", "never"):
        agree(sr.Session(tmp_path / "net.spr", sparse=sparse), net, x)


@pytest.mark.parametrize("name", NETS)
def test_free_sizes(name):
    net = build(name)
    report = sr.convert(net, example_inputs=images(1, 3, 64, 64), input_shapes={"image": (None, 3, -1, -1)})
    assert report.inputs == {"image": (-1, 3, -1, -1)} and report.free == {"batch": True, "planes": True}
    session = sr.Session(report.data)
    for shape in ((1, 3, 64, 64), (3, 3, 96, 128), (2, 3, 128, 64)):
        agree(session, net, images(*shape))


def test_other_size_than_the_example():
    net = build("segmenter")
    report = sr.convert(net, example_inputs=images(1, 3, 64, 64), input_shapes={"image": (2, 3, 96, 64)})
    assert report.inputs == {"image": (2, 3, 96, 64)}
    agree(sr.Session(report.data), net, images(2, 3, 96, 64))


def test_layers_are_called_as_modules():
    net = build("mobilenet_v2", 0.5)
    names = [layer.name for layer in sr.convert(net, example_inputs=images(1, 3, 64, 64)).layers]
    assert names == [name for name, part in net.named_modules() if isinstance(part, (nn.Conv2d, nn.Linear))]


def test_large_masks_are_applied():
    """torch.onnx leaves products of large constants in the graph, where pruning by magnitude does not see weights."""
    net = nn.Sequential(nn.Conv2d(512, 600, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(600, 512)).eval()
    for part in (net[0], net[3]):
        prune.random_unstructured(part, "weight", 0.6)
        prune.l1_unstructured(part, "weight", 0.5)  # of what is left
    x = images(2, 512, 3, 3)
    proto = as_onnx(net, example_inputs=x)
    assert not [node for node in proto.graph.node if node.op_type == "Mul"]
    assert not [t.name for t in proto.graph.initializer if "mask" in t.name or "orig" in t.name]
    report = sr.convert(net, example_inputs=x)
    assert [round(layer.sparsity, 3) for layer in report.layers] == [0.8, 0.8]
    agree(sr.Session(report.data), net, x)
    assert [layer.sparsity > 0.89 for layer in sr.convert(net, example_inputs=x, prune=0.9).layers] == [True, True]


@pytest.mark.filterwarnings("ignore")  # torch's, of itself
def test_external_data(tmp_path):
    """Files that torch.onnx wrote itself."""
    net, x = build("mobilenet_v3", 0.7), images(1, 3, 64, 64)
    path = tmp_path / "net.onnx"
    torch.onnx.export(net, (x,), path, dynamo=True, external_data=True, opset_version=18, verbose=False)
    assert (tmp_path / "net.onnx.data").exists()
    agree(sr.Session(path), net, x)


@pytest.mark.parametrize("way", ["tuple", "list", "names", "program"])
def test_ways_to_give_inputs(way):
    class Two(nn.Module):
        def forward(self, left, right, scale: float = 1.0):
            return left * scale + right.tanh()

    a, b = images(2, 3), images(2, 1)
    net, examples = Two(), {"tuple": (a, b), "list": [a, b], "names": {"right": b, "left": a, "scale": 2.0}}.get(way)
    if way == "program":
        net = torch.export.export(net, (a, b))
    report = sr.convert(net, example_inputs=examples)
    assert report.inputs == {"left": (2, 3), "right": (2, 1)}
    (actual,) = sr.Session(report.data).run(None, {"left": a.numpy(), "right": b.numpy()})
    np.testing.assert_allclose(actual, (a * (2 if way == "names" else 1) + b.tanh()).numpy(), rtol=1e-6, atol=1e-6)


def test_module_stays_as_it_was():
    net = build("mobilenet_v2", 0.5)
    net.train()
    net.features[1].eval()
    modes = [part.training for part in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    sr.convert(net, example_inputs=images(1, 3, 64, 64))
    assert [part.training for part in net.modules()] == modes
    after = net.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)


class Recurrent(nn.Module):
    """A text recognizer's end: two layers in both directions over the columns of a feature map."""

    def __init__(self, kind, batch_first):
        super().__init__()
        self.first, self.body = batch_first, kind(6, 5, 2, bidirectional=True, batch_first=batch_first)
        self.head = nn.Linear(10, 7)

    def forward(self, x):
        rows = F.max_pool2d(x, (4, 2)).squeeze(2)  # [N, C, W]
        y, _ = self.body(rows.permute(0, 2, 1) if self.first else rows.permute(2, 0, 1))
        return F.log_softmax(self.head(y), 2)


@pytest.mark.filterwarnings("ignore")  # torch's, of itself
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("way", ["module", "program"])
def test_recurrent_networks_of_any_length(kind, batch_first, way):
    torch.manual_seed(5)
    net, x = Recurrent(kind, batch_first).eval(), images(2, 6, 4, 16)
    if way == "module":
        report = sr.convert(net, example_inputs=x, input_shapes={"x": (None, 6, 4, None)})
    else:
        free = {"x": {0: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}}
        program = torch.export.export(net, (x,), dynamic_shapes=free)
        nodes = [str(node.target) for node in program.graph.nodes]
        report = sr.convert(program)
        assert [str(node.target) for node in program.graph.nodes] == nodes
    session = sr.Session(report.data, input_shapes={"x": x.shape})
    assert "Recurrent" in {layer.op for layer in session.explain().layers}
    for shape in ((2, 6, 4, 16), (1, 6, 4, 38), (3, 6, 4, 4)):
        agree(session, net, images(*shape))


@pytest.mark.filterwarnings("ignore")  # torch's, of itself
def test_long_sequences_are_not_traced_step_by_step():
    steps = 0

    def count(frame, event, _):
        nonlocal steps
        steps += event == "call" and frame.f_code.co_name == "lstm_cell"

    net = nn.LSTM(8, 4)
    sys.setprofile(count)
    try:
        report = sr.convert(net, example_inputs=images(5000, 1, 8))
    finally:
        sys.setprofile(None)
    assert not steps
    session = sr.Session(report.data)
    x = images(5000, 1, 8)
    (y,) = session.run([session.outputs[0].name], {session.inputs[0].name: x.numpy()})
    with torch.no_grad():
        assert error(y, net(x)[0].numpy()) <= 1e-4


class Quantizable(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.point = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 32, 1)
        self.deep, self.last = nn.Conv2d(32, 32, 3, 1, 1, groups=32), nn.Conv2d(32, 8, 1)

    def forward(self, x):
        y = F.relu(self.point(F.relu(self.stem(x))))
        return self.last(y + F.relu(self.deep(y)))


@pytest.mark.filterwarnings("ignore")  # torch's, of itself
@pytest.mark.parametrize("way", ["module", "program"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_pt2e_quantized(way, per_channel):
    pt2e = pytest.importorskip("torchao.quantization.pt2e.quantize_pt2e", reason="torchao is not installed")
    xnnpack = pytest.importorskip("torchao.testing.pt2e._xnnpack_quantizer", reason="a torchao without this quantizer")
    torch.manual_seed(5)
    x = images(2, 3, 32, 32)
    config = xnnpack.get_symmetric_quantization_config(is_per_channel=per_channel)
    net = torch.export.export(Quantizable().eval(), (x,)).module()
    net = pt2e.prepare_pt2e(net, xnnpack.XNNPACKQuantizer().set_global(config))
    net(x)
    net = pt2e.convert_pt2e(net)
    if way == "module":
        session = sr.Session(sr.convert(net, example_inputs=x).data)
    else:
        session = sr.Session(sr.convert(torch.export.export(net, (x,))).data)
    (ours,), (theirs,) = session.run(None, {session.inputs[0].name: x.numpy()}), told(net, x)
    steps = np.unique(theirs)
    quantum = np.diff(steps).min()
    assert len(steps) <= 256 and np.abs(ours - theirs).max() <= 1.01 * quantum
    ops = [layer.op for layer in session.explain().layers]
    assert ops.count("QConv") == 4 and not {"Conv", "DequantizeLinear"} & set(ops)


class Fixed(nn.Module):
    def forward(self, x):
        return sum(x[:, :, i] * i for i in range(x.shape[2])) + torch.ones(8)


class Branching(nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x - 1


@pytest.mark.parametrize(
    "net, examples, shapes, kind, said",
    [
        (Fixed(), None, None, sr.ArgumentError, "a torch module \\(Fixed\\) is converted by running it: give"),
        (Fixed(), images(1, 3, 8, 7), None, sr.ArgumentError, "does not take example_inputs \\(x \\[1, 3, 8, 7\\]"),
        (Fixed(), (1, 2), None, sr.ArgumentError, "do not fit Fixed.forward\\(x\\): too many positional"),
        (Fixed(), {"y": 1}, None, sr.ArgumentError, "do not fit Fixed.forward\\(x\\)"),
        (Fixed(), images(1, 3, 8, 8), {"y": (1,)}, sr.ArgumentError, "names 'y'; the inputs are: x \\[1, 3, 8, 8\\]"),
        (Fixed(), images(1, 3, 8, 8), {"x": (1, 3)}, sr.ArgumentError, "gives 'x' 2 dimensions; its example has 4"),
        (Fixed(), images(1, 3, 8, 8), {"x": (1, 3, -1, 8)}, sr.ArgumentError, "of 'x' that Fixed fixes: 2 \\(at 8\\)"),
        (Branching(), images(3), None, sr.UnsupportedError, "torch.onnx cannot export Branching: "),
        (nn.Sequential(Branching()), images(3), None, sr.UnsupportedError, "torch.onnx cannot export Sequential: "),
    ],
)
def test_refused(net, examples, shapes, kind, said):
    with pytest.raises(kind, match=said):
        sr.convert(net, example_inputs=examples, input_shapes=shapes)


def test_onnxscript_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(sr.ArgumentError, match=r"pip install 'sparse-runtime\[torch\]'"):
        sr.convert(Fixed(), example_inputs=images(1, 3, 8, 8))


def test_torch_is_not_imported_for_others(pointwise_model, tmp_path):
    (tmp_path / "m.onnx").write_bytes(pointwise_model.SerializeToString())
    code = "import sys, sparse_runtime as sr; sr.convert(sys.argv[1]); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "m.onnx"], check=True)
