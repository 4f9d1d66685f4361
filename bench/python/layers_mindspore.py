"""The layers in MindSpore on the CPU (PyNative), transcribed from the reference's formulas."""

import math

import mindspore as ms
import numpy as np
from mindspore import nn, ops


def dense(weights, name):
    weight = weights[f"{name}.weight"]
    layer = nn.Dense(weight.shape[1], weight.shape[0])
    layer.weight.set_data(ms.Tensor(weight))
    layer.bias.set_data(ms.Tensor(weights[f"{name}.bias"]))
    return layer


class PatchEmbed(nn.Cell):
    def __init__(self, work, weights, prefix=""):
        super().__init__()
        size = work["patch"]
        self.proj = nn.Conv2d(
            work["channels"],
            work["dim"],
            kernel_size=size,
            stride=size,
            pad_mode="valid",
            has_bias=True,
        )
        self.proj.weight.set_data(ms.Tensor(weights[f"{prefix}proj.weight"]))
        self.proj.bias.set_data(ms.Tensor(weights[f"{prefix}proj.bias"]))
        self.norm = (
            nn.LayerNorm((work["dim"],), epsilon=1e-6) if work["layerNorm"] else None
        )
        self.pos_embed = ms.Parameter(ms.Tensor(weights["positions"]), requires_grad=False)

    def construct(self, latent):
        x = self.proj(latent)
        batch, dim, height, width = x.shape
        x = x.reshape(batch, dim, height * width).transpose(0, 2, 1)
        if self.norm is not None:
            x = self.norm(x)
        return x + self.pos_embed


class CaptionProjection(nn.Cell):
    def __init__(self, weights, prefix=""):
        super().__init__()
        self.linear_1 = dense(weights, f"{prefix}linear_1")
        self.linear_2 = dense(weights, f"{prefix}linear_2")

    def construct(self, caption):
        return self.linear_2(ops.gelu(self.linear_1(caption), approximate="tanh"))


class TimestepEmbedding(nn.Cell):
    def __init__(self, weights, prefix=""):
        super().__init__()
        self.linear_1 = dense(weights, f"{prefix}linear_1")
        self.linear_2 = dense(weights, f"{prefix}linear_2")

    def construct(self, sample):
        return self.linear_2(ops.silu(self.linear_1(sample)))


class Conditioning(nn.Cell):
    def __init__(self, work, weights):
        super().__init__()
        self.pos_embed = PatchEmbed(work["patch"], weights, "pos_embed.")
        self.caption_projection = CaptionProjection(weights, "caption_projection.")
        self.embedder = TimestepEmbedding(weights, "adaln_single.emb.timestep_embedder.")
        self.linear = dense(weights, "adaln_single.linear")
        self.frequencies = ms.Tensor(
            np.exp(-math.log(10000) * np.arange(128, dtype=np.float32) / 128)[None]
        )

    def construct(self, latent, caption, t):
        tokens = self.pos_embed(latent)
        embeds = self.caption_projection(caption)
        angles = t.reshape(-1, 1) * self.frequencies
        embedded = self.embedder(ops.cat([ops.cos(angles), ops.sin(angles)], axis=-1))
        modulation = self.linear(ops.silu(embedded))
        return tokens, embeds, modulation, embedded


def load(job, arrays, _folder):
    ms.set_device("CPU")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    ms.runtime.set_cpu_affinity(False)
    work = job["work"]
    x = ms.Tensor(arrays[job["inputs"][0]])
    if work["layer"] == "Conditioning":
        layer = Conditioning(work, arrays)
        caption = ms.Tensor(arrays["caption"])
    elif work["layer"] == "PatchEmbed":
        layer = PatchEmbed(work, arrays)
    else:
        layer = {
            "CaptionProjection": CaptionProjection,
            "TimestepEmbedding": TimestepEmbedding,
        }[work["layer"]](arrays)
    layer.set_train(False)

    def run():
        if work["layer"] == "Conditioning":
            for t in job["timesteps"]:
                step = ms.Tensor(np.full(work["caption"]["batch"], t, dtype=np.float32))
                outputs = layer(x, caption, step)
            result = outputs[0]
        else:
            result = layer(x)
        ms.runtime.synchronize()  # calls are asynchronous
        return result

    def as_float32(tensor):
        return np.ascontiguousarray(tensor.asnumpy())

    return ms.__version__, run, as_float32
