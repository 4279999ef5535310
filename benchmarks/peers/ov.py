"""OpenVINO, tuned for latency; in float32, as it would take bfloat16 where the CPU has it."""

import openvino


def version():
    return openvino.__version__.split("-")[0]


def prepare(model, feeds, threads):
    core = openvino.Core()
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        },
    )
    request = compiled.create_infer_request()
    names = [output.get_any_name() for output in compiled.outputs]
    return lambda: dict(zip(names, request.infer(feeds, share_inputs=True, share_outputs=True).to_tuple()))
