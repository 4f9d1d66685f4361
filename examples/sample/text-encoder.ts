// A T5 encoder by transformers.js, as python/export_text_encoder.py writes one.
import { dirname, basename, resolve } from 'node:path';
import {
  AutoTokenizer,
  env,
  PreTrainedModel,
  type Tensor as HubTensor,
} from '@huggingface/transformers';
import { Tensor, type LatteTensor } from './latte.js';

/** Encodes each text in `tokens` tokens, shorter ones padded: [1, tokens, K]. */
export async function encodeTexts(
  folder: string,
  texts: readonly string[],
  tokens: number,
): Promise<LatteTensor[]> {
  // A name below a folder of local models; nothing is downloaded.
  env.allowRemoteModels = false;
  env.localModelPath = dirname(resolve(folder));
  const name = basename(resolve(folder));
  const tokenizer = await AutoTokenizer.from_pretrained(name);
  // transformers.js has no class for T5's encoder alone: T5Model is the encoder with the decoder.
  const encoder = await PreTrainedModel.from_pretrained(name, { dtype: 'fp32' });
  try {
    const results: LatteTensor[] = [];
    for (const text of texts) {
      const options = { padding: 'max_length', max_length: tokens, truncation: true } as const;
      const inputs = tokenizer([text], options) as Record<string, HubTensor>;
      const output = (await encoder(inputs)) as { last_hidden_state: HubTensor };
      // The same memory, without a copy.
      results.push(Tensor.fromOrt(output.last_hidden_state));
    }
    return results;
  } finally {
    await encoder.dispose();
  }
}
