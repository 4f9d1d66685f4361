"""Makes what `npm run sample` runs: a LatteTransformer3DModel of diffusers with random weights.

    python export.py --size tiny --steps 6 --output ../fixtures/tiny
    python export.py --size xl --output ../xl

writes
    transformer/            config.json and the weights, by diffusers' save_pretrained
    scheduler/              the DDIM scheduler's config, by save_pretrained
    blocks.onnx             the transformer behind its embedding layers, with static shapes
    run.safetensors         prompt embeddings, the first latents; for the tiny size also the latents after
                            each step of diffusers' own LattePipeline
"""

import argparse
import pathlib

import torch
from diffusers import DDIMScheduler, LattePipeline, LatteTransformer3DModel
from safetensors.torch import save_file

SEED = 20240103
TOKENS = {"tiny": 5, "xl": 120}
GUIDANCE = 7.5
# The config of Latte-1 with smaller sizes.
COMMON = dict(
    in_channels=4,
    out_channels=8,
    patch_size=2,
    attention_bias=True,
    activation_fn="gelu-approximate",
    num_embeds_ada_norm=1000,
    norm_type="ada_norm_single",
    norm_elementwise_affine=False,
    norm_eps=1e-6,
)
SIZES = {
    "tiny": dict(
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        cross_attention_dim=32,
        sample_size=16,
        caption_channels=48,
        video_length=4,
    ),
    "xl": dict(
        num_attention_heads=16,
        attention_head_dim=72,
        num_layers=28,
        cross_attention_dim=1152,
        sample_size=64,
        caption_channels=4096,
        video_length=16,
    ),
}


class Blocks(torch.nn.Module):
    """LatteTransformer3DModel.forward without its embedding layers, whose results are the inputs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tokens, encoder_hidden_states, modulation, embedded_timestep, temp_pos_embed):
        model = self.model
        batch = encoder_hidden_states.shape[0]
        frames = tokens.shape[0] // batch
        patches, width = tokens.shape[1:]
        captions = encoder_hidden_states.repeat_interleave(frames, dim=0)
        modulation_spatial = modulation.repeat_interleave(frames, dim=0)
        modulation_temporal = modulation.repeat_interleave(patches, dim=0)
        x = tokens
        pairs = zip(model.transformer_blocks, model.temporal_transformer_blocks)
        for i, (spatial, temporal) in enumerate(pairs):
            x = spatial(x, None, captions, None, modulation_spatial, None, None)
            # [B·F, N, D] → [B·N, F, D]
            x = x.reshape(batch, frames, patches, width).permute(0, 2, 1, 3)
            x = x.reshape(batch * patches, frames, width)
            if i == 0 and frames > 1:
                x = x + temp_pos_embed
            x = temporal(x, None, None, None, modulation_temporal, None, None)
            # [B·N, F, D] → [B·F, N, D]
            x = x.reshape(batch, patches, frames, width).permute(0, 2, 1, 3)
            x = x.reshape(batch * frames, patches, width)
        embedded = embedded_timestep.repeat_interleave(frames, dim=0)
        shift, scale = (model.scale_shift_table[None] + embedded[:, None]).chunk(2, dim=1)
        x = model.proj_out(model.norm_out(x) * (1 + scale) + shift)
        # [B·F, N, p·p·C] → [B, C, F, H, W]
        size, p = model.config.sample_size // model.config.patch_size, model.config.patch_size
        x = x.reshape(batch, frames, size, size, p, p, model.out_channels)
        return x.permute(0, 6, 1, 2, 4, 3, 5).reshape(batch, -1, frames, size * p, size * p)


def make_model(size, layers, frames):
    config = {**COMMON, **SIZES[size]}
    if layers is not None:
        config["num_layers"] = layers
    if frames is not None:
        config["video_length"] = frames
    torch.manual_seed(SEED)
    return LatteTransformer3DModel(**config).eval()


def embed(model, latents, timestep, prompt):
    """The inputs of Blocks, by diffusers' own embedding layers."""
    batch = latents.shape[0]
    images = latents.permute(0, 2, 1, 3, 4).reshape(-1, *latents.shape[1:2], *latents.shape[3:])
    conditions = {"resolution": None, "aspect_ratio": None}
    modulation, embedded = model.adaln_single(
        timestep, added_cond_kwargs=conditions, batch_size=batch, hidden_dtype=latents.dtype
    )
    tokens, captions = model.pos_embed(images), model.caption_projection(prompt)
    return tokens, captions, modulation, embedded, model.temp_pos_embed


def export_blocks(model, inputs, path):
    names = ["tokens", "encoder_hidden_states", "modulation", "embedded_timestep", "temp_pos_embed"]
    torch.onnx.export(
        Blocks(model),
        inputs,
        str(path),
        input_names=names,
        output_names=["sample"],
        opset_version=18,
        dynamo=False,
    )


def sample_with_diffusers(model, scheduler, latents, prompt, negative, steps):
    """The latents after each step of LattePipeline, [steps, B, C, F, H, W]."""
    # Nothing is encoded or decoded, so the pipeline needs no text encoder and no VAE.
    pipeline = LattePipeline(
        tokenizer=None, text_encoder=None, vae=None, transformer=model, scheduler=scheduler
    )
    pipeline.set_progress_bar_config(disable=True)
    history = []

    def keep(_pipeline, _step, _timestep, values):
        history.append(values["latents"].clone())
        return values

    final = pipeline(
        prompt_embeds=prompt,
        negative_prompt_embeds=negative,
        negative_prompt=None,
        latents=latents.clone(),
        video_length=latents.shape[2],
        num_inference_steps=steps,
        guidance_scale=GUIDANCE,
        height=latents.shape[3] * 8,
        width=latents.shape[4] * 8,
        output_type="latent",
        mask_feature=False,
        callback_on_step_end=keep,
        callback_on_step_end_tensor_inputs=["latents"],
    ).frames
    assert torch.equal(final, history[-1])
    return torch.stack(history), pipeline.scheduler.timesteps


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=sorted(SIZES), default="tiny")
    parser.add_argument("--steps", type=int, default=6, help="of the expected run (tiny)")
    parser.add_argument("--layers", type=int, help="instead of the size's own")
    parser.add_argument("--frames", type=int, help="instead of the size's own")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)

    with torch.no_grad():
        model = make_model(arguments.size, arguments.layers, arguments.frames)
        config = model.config
        scheduler = DDIMScheduler(
            beta_start=0.0001, beta_end=0.02, beta_schedule="linear", clip_sample=False
        )
        shape = (1, config.in_channels, config.video_length, config.sample_size, config.sample_size)
        latents = torch.randn(shape)
        prompt, negative = torch.randn(2, 1, TOKENS[arguments.size], config.caption_channels)
        run = {"prompt_embeds": prompt, "negative_prompt_embeds": negative, "latents": latents}

        both = torch.cat([negative, prompt])
        doubled, timestep = torch.cat([latents, latents]), torch.tensor([500, 500])
        inputs = embed(model, doubled, timestep, both)
        if arguments.size == "tiny":
            # The blocks, called like this, give the bits of the model's own forward.
            whole = model(doubled, timestep=timestep, encoder_hidden_states=both).sample
            assert torch.equal(Blocks(model)(*inputs), whole)
            run["expected"], timesteps = sample_with_diffusers(
                model, scheduler, latents, prompt, negative, arguments.steps
            )
            run["timesteps"] = timesteps
        model.save_pretrained(folder / "transformer")
        scheduler.save_pretrained(folder / "scheduler")
        metadata = {"guidance_scale": str(GUIDANCE), "seed": str(SEED)}
        save_file(
            {name: tensor.contiguous() for name, tensor in run.items()},
            folder / "run.safetensors",
            metadata,
        )
        export_blocks(model, inputs, folder / "blocks.onnx")


if __name__ == "__main__":
    main()
