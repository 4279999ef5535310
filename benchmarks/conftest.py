"""Short measurements unless the command line says otherwise: there are many."""

from pytest_benchmark.utils import SecondsDecimal


def pytest_configure(config):
    if not any(str(arg).startswith("--benchmark-max-time") for arg in config.invocation_params.args):
        config.option.benchmark_max_time = SecondsDecimal("0.2")
