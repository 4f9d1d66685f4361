"""One framework computing the work that job.json names; what it computes is in its own module."""

import importlib

import numpy as np

from line_process import serve


def load(job, folder):
    arrays = {
        name: np.fromfile(folder / f"{name}.bin", dtype=np.float32).reshape(shape)
        for name, shape in job["shapes"].items()
    }
    framework = importlib.import_module(f"layers_{job['framework']}")
    return framework.load(job, arrays, folder)


serve(load)
