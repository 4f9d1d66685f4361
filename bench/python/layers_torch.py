"""The layers in PyTorch, eager, as diffusers writes them."""

import math

import torch
import torch.nn.functional as F


def linear(x, weights, name):
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def patch_embed(latent, weights, work, prefix=""):
    x = F.conv2d(
        latent,
        weights[f"{prefix}proj.weight"],
        weights[f"{prefix}proj.bias"],
        stride=work["patch"],
    )
    x = x.flatten(2).transpose(1, 2)
    if work["layerNorm"]:
        x = F.layer_norm(x, (work["dim"],), eps=1e-6)
    return (x + weights["positions"]).to(latent.dtype)


def caption_projection(caption, weights, prefix=""):
    hidden = F.gelu(linear(caption, weights, f"{prefix}linear_1"), approximate="tanh")
    return linear(hidden, weights, f"{prefix}linear_2")


def timestep_embedding(sample, weights, prefix=""):
    return linear(F.silu(linear(sample, weights, f"{prefix}linear_1")), weights, f"{prefix}linear_2")


def timesteps(t):
    frequencies = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32) / 128)
    angles = t[:, None] * frequencies[None]
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)


def conditioning(latent, caption, t, weights, work):
    tokens = patch_embed(latent, weights, work["patch"], "pos_embed.")
    caption_projection(caption, weights, "caption_projection.")
    embedded = timestep_embedding(
        timesteps(t), weights, "adaln_single.emb.timestep_embedder."
    )
    linear(F.silu(embedded), weights, "adaln_single.linear")
    return tokens


def load(job, arrays, _folder):
    torch.set_num_threads(job["threads"])
    dtype = getattr(torch, job["dtype"])
    weights = {name: torch.from_numpy(array).to(dtype) for name, array in arrays.items()}
    work = job["work"]
    x = weights[job["inputs"][0]]
    if work["layer"] == "Family":
        from family_torch import LAYERS  # which imports this module

        family = LAYERS[work["op"]]
        # Numbers such as timesteps stay float32.
        numbers = [name for name, given in work["inputs"].items() if "values" in given]
        inputs = {name: weights[name] for name in job["inputs"]}
        inputs.update({name: torch.from_numpy(arrays[name]) for name in numbers})

    def run():
        with torch.inference_mode():
            if work["layer"] == "PatchEmbed":
                return patch_embed(x, weights, work)
            if work["layer"] == "CaptionProjection":
                return caption_projection(x, weights)
            if work["layer"] == "Family":
                return family(inputs, weights, work["options"])
            if work["layer"] == "TimestepEmbedding":
                return timestep_embedding(x, weights)
            for t in job["timesteps"]:
                step = torch.full((work["caption"]["batch"],), float(t))
                tokens = conditioning(x, weights["caption"], step, weights, work)
            return tokens

    def as_float32(result):
        tensors = result if isinstance(result, tuple) else (result,)
        return torch.cat([tensor.float().flatten() for tensor in tensors]).numpy()

    return torch.__version__, run, as_float32
