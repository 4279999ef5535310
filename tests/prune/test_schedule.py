import pytest

from sparse_runtime.prune import gmp_ratios


def test_published_figures():
    ratios = gmp_ratios(20, 0.05, 0.55)
    assert len(ratios) == 20
    assert ratios[:4] == pytest.approx([0.05, 0.1213, 0.1855, 0.2429], abs=5e-5)
    assert ratios[-1] == pytest.approx(0.5499, abs=5e-5)
    assert all(a < b < 0.55 for a, b in zip(ratios, ratios[1:]))


def test_edges():
    assert gmp_ratios(1, 0.1, 0.9) == [0.1]
    assert gmp_ratios(3, 0.5, 0.5) == [0.5] * 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0, 0.1, 0.5), "steps .* not 0"),
        ((2.5, 0.1, 0.5), "steps .* not 2.5"),
        ((5, -0.1, 0.5), "initial=-0.1"),
        ((5, 0.1, 1.5), "target=1.5"),
        ((5, 0.6, 0.5), "initial=0.6, target=0.5"),
        ((5, float("nan"), 0.5), "initial=nan"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        gmp_ratios(*arguments)
