"""The table of explain() and profile()."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from sparse_runtime.report import Report, is_sparse, macs_done
from sparse_runtime.session import Layer
from sparse_runtime.table import Column, Table, shorten, show

DENSE = Layer(
    "stem",
    "Conv",
    "conv_f32_avx2",
    "3x3: no sparse kernel",
    np.dtype("float32"),
    (1, 32, 8, 8),
    4e6,
    0.25,
    1.0,
    1000,
    1100,
    0,
)
CSR = replace(
    DENSE,
    name="pw1",
    kernel="pw_csr_f32_neon",
    reason="cheapest",
    macs=8e6,
    sparsity=0.75,
    fill_2x1=0.6,
    weight_bytes=500,
)
BLOCKS = replace(CSR, name="pw2", kernel="pw_2x1_f32_avx512", fill_2x1=0.5, macs=16e6)
VIEW = replace(
    DENSE,
    name="reshape",
    op="Reshape",
    kernel="",
    reason="no work",
    macs=0.0,
    sparsity=None,
    fill_2x1=None,
    weight_bytes=0,
    packed_bytes=0,
)
MEMORY = {"activations": 2_000_000, "weights": 3_000_000, "scratch": 0}


@pytest.fixture
def report():
    return Report([DENSE, CSR, BLOCKS, VIEW], MEMORY, "neon")


def timed(report):
    return Report([replace(layer, ns=1_000_000 * i) for i, layer in enumerate(report)], MEMORY, "neon")


def test_sequence(report):
    assert len(report) == 4
    assert list(report) == [DENSE, CSR, BLOCKS, VIEW]
    assert report[1] is CSR


def test_which_layers_are_sparse(report):
    assert [is_sparse(layer) for layer in report] == [False, True, True, False]


def test_macs_of_the_kernel_that_runs():
    assert macs_done(DENSE) == 4e6  # its zeros are multiplied too
    assert macs_done(CSR) == pytest.approx(2e6)
    assert macs_done(BLOCKS) == pytest.approx(8e6)  # half of every block is zeros
    assert macs_done(VIEW) == 0
    assert macs_done(replace(BLOCKS, sparsity=1.0, fill_2x1=1.0)) == 0


def test_totals(report):
    totals = report.totals()
    assert (totals["layers"], totals["sparse_layers"], totals["dense_layers"]) == (4, 2, 1)
    assert totals["macs"] == 28e6
    assert totals["macs_skipped"] == pytest.approx(0.5)
    assert totals["weight_bytes"] == 2000
    assert totals["ms"] is None
    assert timed(report).totals()["ms"] == 6.0


def test_no_layers():
    report = Report([], MEMORY, "ref")
    assert report.totals()["macs_skipped"] == 0.0
    assert "0 sparse, 0 dense" in str(report)


def test_text(report):
    lines = str(report).splitlines()
    assert lines[0].split() == "layer op output MMACs zeros 2x1 file mem kernel why".split()
    assert lines[3].split() == "pw1 Conv 1x32x8x8 8.00 75.0% 60.0% 0.5k 1.1k pw_csr_f32_neon cheapest".split()
    assert lines[5].split() == "reshape Reshape 1x32x8x8 - - - - - - no work".split()
    assert "layers with weights: 2 sparse, 1 dense; multiply-adds: 28.0 M, 50.0 % of them skipped" in lines
    assert "memory: weights 3.00 MB, activations 2.00 MB, scratch 0.00 MB; weights in the file 0.00 MB" in lines
    assert lines[-1] == "cpu: neon"
    starts = {line.index(word) for line, word in zip(lines[2:], ("conv_", "pw_csr", "pw_2x1"))}
    assert len(starts) == 1, "columns stand below each other"


def test_estimates_are_explained(report):
    assert "kcycles" not in str(report)
    text = str(Report([replace(CSR, reason="kcycles: dense 20 csr 10")], MEMORY, "neon"))
    assert "estimated" in text.splitlines()[-2]


def test_times_stand_where_profiled(report):
    assert " ms" not in str(report)
    lines = str(timed(report)).splitlines()
    assert lines[0].split()[-4:] == ["kernel", "ms", "share", "why"]
    assert lines[4].split()[-3:] == ["2.000", "33.3%", "cheapest"]
    assert "time of all layers: 6.000 ms" in lines


def test_long_texts_fit(report):
    name = "model/backbone/stage3/block7/branch2/pointwise_linear/Conv2D"
    text = str(Report([replace(CSR, name=name, op="GlobalAveragePool", reason="because " * 24)], MEMORY, "neon"))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 140
    shown = lines[2].split()[0]
    head, tail = shown.split("..")
    assert len(shown) >= 14 and name.startswith(head) and name.endswith(tail), "the middle is left out"
    assert text.count("because") == 24, "reasons go on below"
    assert name in Report([replace(CSR, name=name)], MEMORY, "neon").table().plain(), "with room it stands in full"
    assert report.table().plain(140) == report.table().plain(), "nothing is cut where it fits"


def test_to_dict_is_json(report):
    found = json.loads(json.dumps(report.to_dict()))
    assert found["memory"] == MEMORY and found["cpu"] == "neon"
    assert found["totals"]["sparse_layers"] == 2
    assert found["layers"][1]["kernel"] == "pw_csr_f32_neon"
    assert found["layers"][1]["shape"] == [1, 32, 8, 8] and found["layers"][1]["dtype"] == "float32"
    assert found["layers"][3]["sparsity"] is None


# ---- tables --------------------------------------------------------------------------------------------------------


TABLE = Table(
    [Column("a", "A", left=True), Column("b", "B", "{:.1f}".format)],
    [{"a": "x|y", "b": 1.25}, {"a": "z", "b": None}],
    ["note"],
)


def test_plain():
    assert TABLE.plain() == "A      B\n---  ---\nx|y  1.2\nz      -\nnote"


def test_markdown():
    assert TABLE.markdown() == "| A | B |\n|---|---:|\n| x\\|y | 1.2 |\n| z | - |\n\nnote"


def test_csv_keeps_all_digits():
    assert TABLE.csv() == "a,b\nx|y,1.25\nz,"


@pytest.mark.parametrize("width", [5, 8, 9])
def test_shorten(width):
    text = shorten("abcdefghij", width)
    assert len(text) == width and ".." in text and text[0] == "a" and text[-1] == "j"


def test_shorten_leaves_what_fits():
    assert shorten("abcdefghij", 10) == "abcdefghij"


class Terminal:
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_terminal_with_rich(report, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    show(report.table(), out)
    assert "\x1b[" in out.text, "in colours"
    assert "pw_2x1_f32_avx512" in out.text and "2 sparse, 1 dense" in out.text


def test_terminal_without_rich(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    out = Terminal()
    show(report.table(), out)
    assert out.text == str(report) + "\n"


def test_terminal_has_the_same_lines(report, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    show(report.table(), out)
    assert [line.rstrip() for line in out.text.splitlines()] == str(report).splitlines()
