"""The layers of the sibling transformers in PyTorch, eager, as diffusers writes them."""

import torch
import torch.nn.functional as F

from layers_torch import linear, timestep_embedding, timesteps


def text_projection(x, weights, prefix=""):
    hidden = F.gelu(linear(x, weights, f"{prefix}linear_1"), approximate="tanh")
    return linear(hidden, weights, f"{prefix}linear_2")


def embedded(t, weights, name):
    sinusoid = timesteps(t).to(weights[f"{name}.linear_1.weight"].dtype)
    return timestep_embedding(sinusoid, weights, f"{name}.")


def positioned(x, weights):
    positions = weights.get("positions")
    return x if positions is None else x + positions.to(x.dtype)


def patch_embed(inputs, weights, options):
    x = F.conv2d(
        inputs["latent"], weights["proj.weight"], weights["proj.bias"], stride=options["patchSize"]
    )
    return positioned(x.flatten(2).transpose(1, 2), weights)


def patch_embed_3d(inputs, weights, options):
    x = F.conv3d(
        inputs["latent"], weights["proj.weight"], weights["proj.bias"], stride=options["patchSize"]
    )
    return x.flatten(2).transpose(1, 2)


def cogvideox_patch_embed(inputs, weights, options):
    text = linear(inputs["textEmbeds"], weights, "text_proj")
    images, p, pt = inputs["imageEmbeds"], options["patchSize"], options.get("patchSizeT")
    b, f, c, h, w = images.shape
    if pt is None:
        x = F.conv2d(
            images.reshape(-1, c, h, w), weights["proj.weight"], weights["proj.bias"], stride=p
        )
        x = x.view(b, f, *x.shape[1:]).flatten(3).transpose(2, 3).flatten(1, 2)
    else:
        x = images.permute(0, 1, 3, 4, 2)
        x = x.reshape(b, f // pt, pt, h // p, p, w // p, p, c)
        x = x.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(4, 7).flatten(1, 3)
        x = linear(x, weights, "proj")
    return positioned(torch.cat([text, x], dim=1).contiguous(), weights)


def combined(inputs, weights, _options):
    x = embedded(inputs["timestep"], weights, "timestep_embedder")
    if "guidance" in inputs:
        x = x + embedded(inputs["guidance"], weights, "guidance_embedder")
    return x + timestep_embedding(inputs["pooledProjection"], weights, "text_embedder.")


def sana(inputs, weights, _options):
    x = embedded(inputs["timestep"], weights, "timestep_embedder")
    x = x + embedded(inputs["guidance"], weights, "guidance_embedder")
    return linear(F.silu(x), weights, "linear"), x


def qwen(inputs, weights, _options):
    return embedded(inputs["timestep"] * 1000, weights, "timestep_embedder")


def wan(inputs, weights, _options):
    temb = embedded(inputs["timestep"], weights, "time_embedder")
    projected = linear(F.silu(temb), weights, "time_proj")
    text = text_projection(inputs["encoderHiddenStates"], weights, "text_embedder.")
    if "encoderHiddenStatesImage" not in inputs:
        return temb, projected, text

    def norm(x, name):
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, 1e-5)

    x = norm(inputs["encoderHiddenStatesImage"], "image_embedder.norm1")
    x = F.gelu(linear(x, weights, "image_embedder.ff.net.0.proj"))
    x = linear(x, weights, "image_embedder.ff.net.2")
    return temb, projected, text, norm(x, "image_embedder.norm2")


LAYERS = {
    "CogVideoXPatchEmbed": cogvideox_patch_embed,
    "CombinedTimestepGuidanceTextProjEmbeddings": combined,
    "CombinedTimestepTextProjEmbeddings": combined,
    "Linear": lambda inputs, weights, _: F.linear(
        inputs["input"], weights["weight"], weights["bias"]
    ),
    "PatchEmbed": patch_embed,
    "PatchEmbed3d": patch_embed_3d,
    "PixArtAlphaTextProjection": lambda inputs, weights, _: text_projection(
        inputs["caption"], weights
    ),
    "QwenTimestepProjEmbeddings": qwen,
    "SanaCombinedTimestepGuidanceEmbeddings": sana,
    "WanTimeTextImageEmbedding": wan,
}
