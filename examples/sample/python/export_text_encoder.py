"""Makes the tiny text encoder of `npm run sample -- --prompt …`: a T5EncoderModel with random weights.

    python export_text_encoder.py --output ../fixtures/tiny/text_encoder

writes, as transformers.js reads them,
    config.json             by save_pretrained
    onnx/model.onnx         input_ids, attention_mask → last_hidden_state
    tokenizer.json          a word each, of the few below; tokenizer_config.json
    expected.safetensors    input_ids and last_hidden_state of PROMPT, by PyTorch
"""

import argparse
import pathlib

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

SEED = 20240103
# The caption_channels and the number of tokens of export.py's tiny model.
WIDTH, TOKENS = 48, 5
PROMPT = "a cat wearing sunglasses"
WORDS = "a cat dog wearing sunglasses playing the piano in on snow beach".split()
VOCABULARY = {word: i for i, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}


class Encoder(torch.nn.Module):
    """With positional arguments and one result, for the exporter."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def make_tokenizer():
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", VOCABULARY["</s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=TOKENS,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=pathlib.Path, required=True)
    folder = parser.parse_args().output
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    config = T5Config(
        vocab_size=len(VOCABULARY),
        d_model=WIDTH,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        architectures=["T5EncoderModel"],
    )
    # Without SDPA, whose export needs a newer exporter.
    config._attn_implementation = "eager"
    encoder = Encoder(T5EncoderModel(config).eval())
    tokenizer = make_tokenizer()
    tokens = tokenizer(PROMPT, padding="max_length", max_length=TOKENS, return_tensors="pt")
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    with torch.no_grad():
        hidden = encoder(ids, mask)
        torch.onnx.export(
            encoder,
            (ids, mask),
            str(folder / "onnx" / "model.onnx"),
            input_names=["input_ids", "attention_mask"],
            output_names=["last_hidden_state"],
            opset_version=18,
            dynamo=False,
        )
    encoder.model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file(
        {"input_ids": ids, "last_hidden_state": hidden.contiguous()},
        folder / "expected.safetensors",
        {"prompt": PROMPT, "seed": str(SEED)},
    )


if __name__ == "__main__":
    main()
