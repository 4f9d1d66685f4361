"""Compares our .proto with the descriptions that tritonclient carries: every message and field of ours
has to have the same number, type and repetition there. Usage: proto.py <our .proto>
"""

import os
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_tools import protoc
from tritonclient.grpc import model_config_pb2, service_pb2


def ours(path):
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "set")
        arguments = ["protoc", f"-I{os.path.dirname(path)}", f"--descriptor_set_out={result}", path]
        if protoc.main(arguments) != 0:
            raise SystemExit("our .proto cannot be compiled")
        with open(result, "rb") as file:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    return pool.AddSerializedFile(files.file[0].SerializeToString())


def theirs(name):
    for module in (service_pb2, model_config_pb2):
        found = module.DESCRIPTOR.message_types_by_name.get(name)
        if found is not None:
            return found
    raise SystemExit(f"tritonclient has no message {name}")


def compare(mine, other):
    count = 0
    for field in mine.fields:
        same = other.fields_by_name.get(field.name)
        if same is None or (same.number, same.type, same.is_repeated) != (
            field.number,
            field.type,
            field.is_repeated,
        ):
            raise SystemExit(f"{mine.full_name}.{field.name} differs")
        count += 1
    for nested in mine.nested_types:
        count += compare(nested, other.nested_types_by_name[nested.name])
    return count


file = ours(os.path.abspath(sys.argv[1]))
fields = sum(compare(message, theirs(name)) for name, message in file.message_types_by_name.items())
for value in file.enum_types_by_name["DataType"].values:
    if model_config_pb2.DataType.Value(value.name) != value.number:
        raise SystemExit(f"{value.name} differs")
methods = {m.name for m in service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods}
for method in file.services_by_name["GRPCInferenceService"].methods:
    if method.name not in methods:
        raise SystemExit(f"{method.name} is no call of the protocol")
print(f"inference.proto: {fields} fields have tritonclient's names, numbers and types")
