"""The benchmark's own ONNX graphs under OpenVINO."""

import numpy as np
import openvino as ov


def load(job, arrays, folder):
    core = ov.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": job["threads"]})
    compiled = core.compile_model(
        folder / f"model-{job['model']}.onnx",
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            # By default OpenVINO computes in bfloat16 if the processor has it.
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[job["dtype"]],
        },
    )
    request = compiled.create_infer_request()
    # A shared tensor does not keep its array alive, so run() keeps the arrays.
    inputs = {name: arrays[name] for name in job["inputs"]}
    for name, array in inputs.items():
        request.set_tensor(name, ov.Tensor(array, shared_memory=True))

    def run():
        if job["timesteps"]:
            for t in job["timesteps"]:
                inputs["timestep"][:] = t
                request.infer()
        else:
            request.infer()
        # For a step of a run the graph has results beside the tokens, which the other peers do not
        # return.
        outputs = request.output_tensors[:1] if job["timesteps"] else request.output_tensors
        return [tensor.data for tensor in outputs]

    def as_float32(outputs):
        return np.concatenate([output.ravel() for output in outputs])

    return ov.__version__.split("-")[0], run, as_float32
