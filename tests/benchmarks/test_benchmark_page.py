"""The tables of docs/benchmarks.md from figures made up here."""

import copy

import pytest

from benchmarks import report
from benchmarks import report_tables as tables


def case(network, variant, runtime, median, threads=1, busy=1.0):
    return {
        "network": network, "variant": variant, "runtime": runtime, "threads": threads, "error": 0.0, "median": median,
        "q1": median * 0.9, "q3": median * 1.1, "least": median * 0.8, "runs": 9, "busy": busy,
    }  # fmt: skip


@pytest.fixture
def measured():
    net = "mobilenet_v1"
    return {
        "machine": {"cpu": "C", "cpus": 2, "features": "avx2", "system": "Linux", "python": "3", "date": "2020-01-01"},
        "rounds": 2, "clock": "wall", "burst_ms": 60.0, "commit": "abc", "versions": {"onnxruntime": "1.0"},
        "missing": {"MNN": "ModuleNotFoundError: no MNN"},
        "failed": [{"network": net, "variant": "dense", "runtime": "ncnn", "why": "crashed"}],
        "cases": [
            case(net, "dense", "onnxruntime", 10.0), case(net, "dense", "LiteRT", 8.0),
            case(net, "dense", "DeepSparse", 4.0), case(net, "dense", tables.OURS, 8.8),
            case(net, "75", tables.OURS, 3.6), case(net, "75-2x1", tables.OURS, 3.0),
            case(net, "75", "DeepSparse", 5.0), case(net, "dense", tables.OURS, 4.0, threads=2),
        ],
    }  # fmt: skip


def found(targets, text):
    (target,) = [t for t in targets if text in t.what]
    return target


def test_inexact_runtimes_are_told(measured):
    measured["cases"][0]["error"] = 0.13
    text = report.page([measured])
    assert "onnxruntime was timed on MobileNetV1-1.0-224, dense, though its outputs are off by 0.13" in text
    assert text.count("though its outputs") == 1


def test_measured_targets(measured):
    targets = tables.measured_targets(tables.Measured(measured))
    dense = found(targets, "MobileNetV1-1.0-224 dense: share")
    assert dense.found == pytest.approx(1.1) and dense.holds is False  # LiteRT is the best; DeepSparse does not count
    sparse = found(targets, "MobileNetV1-1.0-224 75 %: share of the best")
    assert sparse.found == pytest.approx(0.45) and sparse.holds
    assert found(targets, "75 %: share of DeepSparse").found == pytest.approx(0.72)
    blocks = found(targets, "75 %: gain of 2x1")
    assert blocks.found == pytest.approx(1.2) and blocks.holds
    threads = found(targets, "MobileNetV1-1.0-224 dense: two threads")
    assert threads.found == pytest.approx(2.2) and threads.holds
    assert found(targets, "PicoDet-m 320 85 %: share").holds is None


def test_every_measured_target_of_the_issue_is_there():
    assert len(tables.measured_targets(tables.Measured({"cases": []}))) == 4 + 3 + 2 + 6 + 4


def test_int8_targets(measured):
    net = "mobilenet_v1_int8"
    measured["cases"] += [
        case(net, "dense", "openvino", 2.0), case(net, "dense", "onnxruntime", 4.0),
        case(net, "dense", tables.OURS, 2.5), case(net, "85", tables.OURS, 1.2),
        case("mobilenet_v1", "85", tables.OURS, 3.0),
    ]  # fmt: skip
    targets = tables.int8_targets(tables.Measured(measured))
    assert len(targets) == 4 + 3
    dense = found(targets, "INT8 dense: share of the best")
    assert dense.found == pytest.approx(1.25) and dense.holds is False
    sparse = found(targets, "INT8 85 %: share of the best")
    assert sparse.found == pytest.approx(0.6) and sparse.holds
    assert found(targets, "INT8 85 %: share of our FP32").found == pytest.approx(0.4)
    text = report.page(quantized=[measured])
    assert "## x86 with AVX2, INT8" in text and "### MobileNetV1-1.0-224 INT8" in text
    assert "share of our FP32 time | ≤ 1.00 | 0.40" in text


def test_target_row():
    assert tables.Target("t", 0.75, True, 0.7, "%").row() == ["t", "≥ 75 %", "70 %", "**no**"]
    assert tables.Target("t", 0.6, False, 0.55).row() == ["t", "≤ 0.60", "0.55", "yes"]
    assert tables.Target("t", 0.6, False, None).row() == ["t", "≤ 0.60", "", "not measured"]


def test_times_table(measured):
    lines = tables.times_table(tables.Measured(measured), "mobilenet_v1").splitlines()
    assert lines[0] == "| ms | dense | 75 % | 75 %, 2x1 blocks |"
    rows = {line.split(" | ")[0][2:]: line for line in lines[2:]}
    assert "**4.00** [3.60, 4.40]" in rows["DeepSparse"]  # the fastest with one thread, though two threads are as fast
    assert "| 4.00 [" in rows["sparse-runtime, 2 threads"] and rows["sparse-runtime, 2 threads"].count("failed") == 2
    assert "**3.60**" in rows["sparse-runtime"]


def test_page_tells_what_is_missing(measured):
    text = report.page([measured])
    assert (
        "MNN did not run: ModuleNotFoundError" in text
        and "ncnn did not run MobileNetV1-1.0-224, dense: crashed" in text
    )
    assert "LiteRT 8.00 ms" in text and "not quiet" not in text and "ARM" in text.splitlines()[2]
    measured["cases"][0]["busy"] = 0.5
    assert "a process had its CPU for 50 % of the time" in report.page([measured])


def test_page_of_two_machines(measured):
    other = copy.deepcopy(measured)
    other["machine"].update(cpu="D", features="avx2,avx512,vnni")
    other["cases"][0]["median"] = 7.0
    text = report.page([measured, other])
    wide, narrow = text.split("## x86 with AVX2: measured")
    assert "## x86 with AVX-512: measured" in wide
    assert "- CPU: D" in wide and "onnxruntime 7.00 ms" in wide and "- CPU: C" not in wide
    assert "- CPU: C" in narrow and "LiteRT 8.00 ms" in narrow


def cycles(**of_cores):
    return {core: {"plain": plain, "mem": mem, "spread": 0.0} for core, (plain, mem) in of_cores.items()}


@pytest.fixture
def estimated():
    def layer(shape, fmt, sparsity, macs, **of_cores):
        return {"shape": shape, "format": fmt, "sparsity": sparsity, "macs": macs, "cycles": cycles(**of_cores)}

    return {
        "sources": {"layers": {"date": "2020-01-01", "commit": "abc", "quick": False}}, "engines": {"a53": "a model"},
        "shapes": {"mobilenet_v1": [[49, 8, 8, 1], [196, 8, 8, 3]]},
        "layers": [
            layer([49, 8, 8], "csr", 0.75, 800, a76=(300, 400), a53=(800, 1600)),
            layer([196, 8, 8], "csr", 0.75, 3200, a76=(500, 500)),
        ],
        "depthwise": [
            {"shape": [8, 14], "count": 5, "macs": 800, "cycles": cycles(a76=(200, 200))},
            {"shape": [8, 7], "count": 1, "macs": 400, "cycles": cycles(a76=(50, 100))},
        ],
        "networks": [
            {"network": "picodet_m", "variant": "dense", "sparse": "never", "cycles": cycles(a76=(900, 1000))},
            {"network": "picodet_m", "variant": "75", "sparse": "auto", "cycles": cycles(a76=(300, 400))},
        ],
    }  # fmt: skip


def test_weighted_share_of_peak(estimated):
    e = tables.Estimated(estimated)
    assert e.weighted("mobilenet_v1", "csr", 0.75, "a76", "plain") == pytest.approx((800 + 3 * 3200) / (300 + 1500) / 8)
    assert e.weighted("mobilenet_v1", "csr", 0.75, "a76", "mem") == pytest.approx((800 + 3 * 3200) / (400 + 1500) / 8)
    assert e.weighted("mobilenet_v1", "csr", 0.75, "a53", "plain") is None  # one of its layers is missing
    assert e.weighted("mobilenet_v1", "2x1", 0.75, "a76", "plain") is None
    assert e.depthwise("a76", "plain") == pytest.approx(4400 / 1050 / 8) and e.depthwise("v1", "plain") is None


def test_estimated_targets(estimated):
    targets = tables.estimated_targets(tables.Estimated(estimated))
    csr = [t for t in targets if t.what.startswith("Cortex-A76, MobileNetV1-1.0-224 1x1, CSR 75 %")]
    assert [t.limit for t in csr] == [0.75, pytest.approx(0.6)] and [t.holds for t in csr] == [False, True]
    gain = found(targets, "Cortex-A76, PicoDet-m 320 75 %: dense over sparse")
    assert gain.found == pytest.approx(2.5) and gain.holds


def test_page_of_estimates(estimated):
    text = report.page(estimated=estimated)
    assert "| 0.0 / 0.0 (2.50×) |" in text
    a53, a76 = (text.split(f"on {core}\n")[1].split("####")[0] for core in ("Cortex-A53", "Cortex-A76"))
    assert "| 196×8×8 | 3 |  |" in a53 and "| 49×8×8 | 1 | 2 k, 25 / 12 |" in a53
    assert "| 196×8×8 | 3 | 0 k, 80 / 80 |" in a76
