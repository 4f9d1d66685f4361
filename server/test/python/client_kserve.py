"""A session of kserve's clients over HTTP and gRPC, whose answers have to be tritonclient's.
Usage: client_kserve.py <host:port of REST> <host:port of gRPC> <file of client_triton.py>
"""

import asyncio
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from session import MODEL, OUTPUTS, caption, check, timesteps


def kserve_request(datatype, array):
    given = InferInput("caption", list(array.shape), datatype)
    given.set_data_from_numpy(array, binary_data=True)
    steps = InferInput("timesteps", [3], "INT64")
    steps.set_data_from_numpy(timesteps, binary_data=True)
    return InferRequest(
        model_name=MODEL,
        infer_inputs=[given, steps],
        request_id="kserve-1",
        parameters={"binary_data_output": True},
    )


async def kserve_rest_session(address, expected):
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    base = f"http://{address}"
    check(await client.is_server_live(base) and await client.is_server_ready(base), "health")
    check(await client.is_model_ready(base, MODEL), "model")
    for datatype, array in [("FP32", caption), ("FP16", caption.astype(np.float16))]:
        answer = await client.infer(base, kserve_request(datatype, array), model_name=MODEL)
        check_kserve(answer, expected)
    await client.close()


async def kserve_grpc_session(address, expected):
    client = InferenceGRPCClient(address)
    check(await client.is_server_live() and await client.is_server_ready(), "health")
    check(await client.is_model_ready(MODEL), "model")
    for datatype, array in [("FP32", caption), ("FP16", caption.astype(np.float16))]:
        request = kserve_request(datatype, array)
        request.parameters = None
        check_kserve(await client.infer(request), expected)
    await client.close()


def check_kserve(answer, expected):
    check(answer.id == "kserve-1", "id")
    outputs = {output.name: output.as_numpy() for output in answer.outputs}
    for name in OUTPUTS:
        check(np.array_equal(outputs[name], expected[name]), name)


def main(rest, grpc, file):
    expected = dict(np.load(file))
    asyncio.run(kserve_rest_session(rest, expected))
    print("kserve InferenceRESTClient: passed")
    asyncio.run(kserve_grpc_session(grpc, expected))
    print("kserve InferenceGRPCClient: passed")


main(*sys.argv[1:])
