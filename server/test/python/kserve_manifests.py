"""Validates KServe manifests against the types of KServe's Python package, which are generated from its
CRDs: every field has to be one of its type, down to Kubernetes' containers. Usage: kserve_manifests.py <yaml>
"""

import sys

import kserve.models
import kubernetes.client.models
import yaml

KINDS = {
    "serving.kserve.io/v1alpha1 ServingRuntime": "V1alpha1ServingRuntime",
    "serving.kserve.io/v1beta1 InferenceService": "V1beta1InferenceService",
}


def type_of(name):
    return getattr(kserve.models, name, None) or getattr(kubernetes.client.models, name, None)


def check(value, name, path):
    # The two packages spell their types differently: List[str] and list[str], Dict(…) and dict(…).
    name = name.replace("List[", "list[").replace("Dict", "dict")
    if name.startswith("list["):
        if not isinstance(value, list):
            raise SystemExit(f"{path} must be a list")
        for i, item in enumerate(value):
            check(item, name[5:-1], f"{path}[{i}]")
        return
    if name.startswith(("dict(", "dict[")):
        if not isinstance(value, dict):
            raise SystemExit(f"{path} must be an object")
        for key, item in value.items():
            check(item, name[5:-1].split(", ", 1)[1], f"{path}.{key}")
        return
    simple = {"str": str, "int": int, "bool": bool, "float": (int, float)}.get(name)
    if simple is not None:
        if not isinstance(value, simple):
            raise SystemExit(f"{path} must be a {name}, but is {value!r}")
        return
    kind = type_of(name.rsplit(".", 1)[-1])
    if kind is None or not isinstance(value, dict):
        # Kubernetes writes quantities, and ports that have names, as strings or numbers.
        if isinstance(value, (str, int, float)):
            return
        raise SystemExit(f"{path}: the type {name} is not known")
    fields = {theirs: ours for ours, theirs in kind.attribute_map.items()}
    for key, item in value.items():
        if key not in fields:
            raise SystemExit(f"{path}.{key}: {name} has no such field")
        check(item, kind.openapi_types[fields[key]], f"{path}.{key}")


with open(sys.argv[1]) as file:
    for document in yaml.safe_load_all(file):
        kind = f"{document['apiVersion']} {document['kind']}"
        check(document, KINDS[kind], document["kind"])
        print(f"{kind}: fields and types fit")
