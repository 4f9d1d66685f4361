"""get_2d_sincos_pos_embed as the reference computes it with numpy: float64, cast to float32."""

import numpy as np

from line_process import serve


def sincos_1d(dim, positions):
    omega = np.arange(dim // 2, dtype=np.float64) / (dim / 2)
    angles = np.outer(positions.reshape(-1), 1 / 10000**omega)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def sincos_2d(dim, size, base_size=16):
    axis = np.arange(size, dtype=np.float32) / (size / base_size)
    columns, rows = np.meshgrid(axis, axis)
    return np.concatenate([sincos_1d(dim // 2, columns), sincos_1d(dim // 2, rows)], axis=1)


def load(job, _folder):
    def run():
        return sincos_2d(job["dim"], job["size"]).astype(np.float32)

    return np.__version__, run, np.ascontiguousarray


serve(load)
