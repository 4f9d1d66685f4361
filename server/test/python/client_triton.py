"""A whole session of tritonclient over HTTP and gRPC: health, metadata, inference in every type, errors,
statistics. Usage: client_triton.py <host:port of REST> <host:port of gRPC> <file for the answer>
"""

import sys

import ml_dtypes
import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from session import MODEL, OUTPUTS, caption, check, timesteps
from tritonclient.utils import InferenceServerException


def triton_session(module, address, is_rest):
    client = module.InferenceServerClient(address)
    check(client.is_server_live() and client.is_server_ready(), "health")
    check(client.is_model_ready(MODEL) and client.is_model_ready(MODEL, "1"), "model")
    as_json = {} if module is triton_http else {"as_json": True}
    check(client.get_server_metadata(**as_json)["name"] == "latte-embeddings-server", "server")
    metadata = client.get_model_metadata(MODEL, **as_json)
    check([output["name"] for output in metadata["outputs"]] == OUTPUTS, "metadata")
    check(client.get_model_config(MODEL, **as_json), "configuration")
    index = client.get_model_repository_index(**as_json)
    models = index if isinstance(index, list) else index["models"]
    check(MODEL in [model["name"] for model in models], "index")

    def infer(datatype, array, request_id, **more):
        given = module.InferInput("caption", list(array.shape), datatype)
        given.set_data_from_numpy(array)
        steps = module.InferInput("timesteps", [3], "INT64")
        steps.set_data_from_numpy(timesteps)
        answer = client.infer(MODEL, [given, steps], request_id=request_id, **more)
        response = answer.get_response()
        check((response["id"] if is_rest else response.id) == request_id, "id")
        return answer

    answers = {}
    types = {"FP32": np.float32, "FP16": np.float16, "BF16": ml_dtypes.bfloat16}
    for datatype, dtype in types.items():
        answer = infer(datatype, caption.astype(dtype), f"{datatype}-1")
        answers[datatype] = {name: answer.as_numpy(name) for name in OUTPUTS}
    for datatype in ["FP16", "BF16"]:
        for name in OUTPUTS:
            check(np.array_equal(answers[datatype][name], answers["FP32"][name]), (datatype, name))
    one = infer(
        "FP32", caption, "one", outputs=[module.InferRequestedOutput("modulation")]
    )
    check(one.as_numpy("encoder_hidden_states") is None, "one output")
    check(np.array_equal(one.as_numpy("modulation"), answers["FP32"]["modulation"]), "one output")
    try:
        client.infer("no-such-model", [])
        check(False, "an unknown model")
    except InferenceServerException as error:
        check("no-such-model" in error.message(), error.message())
    statistics = client.get_inference_statistics(MODEL, **as_json)["model_stats"][0]
    check(int(statistics["inference_count"]) >= 4, "statistics")
    client.close()
    return answers["FP32"]


def main(rest, grpc, file):
    expected = triton_session(triton_http, rest, True)
    print("tritonclient.http: passed")
    check(expected["modulation"].shape == (3, 2, 6 * expected["embedded_timestep"].shape[2]), "shape")
    other = triton_session(triton_grpc, grpc, False)
    for name in OUTPUTS:
        check(np.array_equal(other[name], expected[name]), ("grpc", name))
    print("tritonclient.grpc: passed")
    np.savez(file, **expected)


main(*sys.argv[1:])
