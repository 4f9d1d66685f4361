"""The model `conditioning` for mlserver: the layers in PyTorch, eager, as diffusers writes them."""

import math

import torch
import torch.nn.functional as F
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from safetensors.torch import load_file


class Conditioning(MLModel):
    async def load(self):
        torch.set_num_threads(self.settings.parameters.extra["threads"])
        self.weights = load_file(self.settings.parameters.uri)
        return True

    def linear(self, x, name):
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def caption_projection(self, caption):
        hidden = F.gelu(self.linear(caption, "caption_projection.linear_1"), approximate="tanh")
        return self.linear(hidden, "caption_projection.linear_2")

    def ada_layer_norm_single(self, t):
        frequencies = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32) / 128)
        angles = t[:, None] * frequencies[None]
        sample = torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)
        embedder = "adaln_single.emb.timestep_embedder"
        hidden = F.silu(self.linear(sample, f"{embedder}.linear_1"))
        embedded = self.linear(hidden, f"{embedder}.linear_2")
        return self.linear(F.silu(embedded), "adaln_single.linear"), embedded

    async def predict(self, request):
        inputs = {one.name: torch.from_numpy(NumpyCodec.decode_input(one)) for one in request.inputs}
        with torch.inference_mode():
            batch = inputs["caption"].shape[0]
            modulation, embedded = self.ada_layer_norm_single(inputs["timesteps"])
            outputs = {
                "encoder_hidden_states": self.caption_projection(inputs["caption"]),
                "modulation": modulation[:, None].expand(-1, batch, -1),
                "embedded_timestep": embedded[:, None].expand(-1, batch, -1),
            }
        encoded = [NumpyCodec.encode_output(name, x.numpy()) for name, x in outputs.items()]
        return InferenceResponse(model_name=self.name, outputs=encoded)
