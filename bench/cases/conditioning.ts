import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clockedAsync } from '../measure.js';
import * as ort from 'onnxruntime-node';
import { modelsOf } from '../peers/onnx-layers.js';
import { onnxFeeds, onnxName, onnxSession } from '../peers/onnxruntime.js';
import { pythonRunners } from '../peers/python.js';
import {
  LatteEmbeddings,
  productName,
  Tensor,
  writeSafetensors,
  type LatteType,
  type TensorType,
} from '../product.js';
import type { Case, Runner } from '../types.js';
import { type Data } from '../data.js';
import {
  dataOf,
  outputShape,
  timestepsOf,
  type ConditioningWork,
  type PatchWork,
} from '../work.js';

const frames = 16;

function configOf({ patch, caption }: ConditioningWork): object {
  return {
    _class_name: 'LatteTransformer3DModel',
    norm_type: 'ada_norm_single',
    attention_head_dim: 72,
    num_attention_heads: patch.dim / 72,
    in_channels: patch.channels,
    patch_size: patch.patch,
    sample_size: patch.height,
    caption_channels: caption.inFeatures,
    video_length: frames,
  };
}

/** Loads the layers of a checkpoint with these weights. */
export async function load(work: ConditioningWork, data: Data): Promise<LatteType> {
  const folder = mkdtempSync(join(tmpdir(), 'latte-bench-'));
  try {
    writeFileSync(join(folder, 'config.json'), JSON.stringify(configOf(work)));
    await writeSafetensors(
      join(folder, 'diffusion_pytorch_model.safetensors'),
      Object.fromEntries(
        Object.entries(data.weights).map(([name, { data: values, shape }]) => [
          name,
          new Tensor('float32', values, shape),
        ]),
      ),
    );
    return await LatteEmbeddings.fromPretrained(folder, { device: 'cpu' });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Rearranges [(B·F), C, H, W] as a video [B, C, F, H, W]. */
export function asVideo(
  values: Float32Array,
  { batch, channels, height, width }: PatchWork,
): TensorType {
  const videos = batch / frames;
  const plane = height * width;
  const video = new Float32Array(values.length);
  for (let image = 0; image < batch; image++) {
    const b = Math.floor(image / frames);
    const f = image % frames;
    for (let c = 0; c < channels; c++) {
      const from = (image * channels + c) * plane;
      video.set(values.subarray(from, from + plane), ((b * channels + c) * frames + f) * plane);
    }
  }
  return new Tensor('float32', video, [videos, channels, frames, height, width]);
}

async function productRunner(work: ConditioningWork, data: Data): Promise<Runner> {
  const latte = await load(work, data);
  const video = await asVideo(data.inputs.latent!.data, work.patch).to({ device: 'cpu' });
  const given = data.inputs.caption!;
  const caption = new Tensor('float32', given.data, given.shape);
  const out = Tensor.zeros(outputShape(work.patch), { device: 'cpu' });
  const run = async (): Promise<void> => {
    const plan = await latte.prepare({ timesteps: timestepsOf(work), caption });
    for (let i = 0; i < work.steps; i++) {
      await latte.embedLatent(video, { out });
      plan.step(i);
    }
    plan.dispose();
  };
  return {
    side: 'product',
    name: productName,
    variant: `prepare once, ${work.steps} × embedLatent`,
    sample: (count) => clockedAsync(count, run),
    async result() {
      await latte.embedLatent(video, { out });
      return Float32Array.from(out.toFloat32Array());
    },
    close: () => latte.dispose(),
  };
}

async function onnxRunner(work: ConditioningWork, data: Data, threads: number): Promise<Runner> {
  const [model] = modelsOf(work, data);
  const session = await onnxSession(model!, threads);
  const feeds = onnxFeeds(data);
  const batch = work.caption.batch;
  return {
    side: 'peer',
    name: onnxName,
    variant: `${work.steps} steps, every one anew, ${threads} threads`,
    sample: (count) =>
      clockedAsync(count, async () => {
        for (const t of timestepsOf(work)) {
          const timestep = new ort.Tensor('float32', new Float32Array(batch).fill(t), [batch]);
          await session.run({ ...feeds, timestep });
        }
      }),
    async result() {
      const outputs = await session.run(feeds);
      return Float32Array.from(outputs.tokens!.data as Float32Array);
    },
    close: () => session.release(),
  };
}

/**
 * The conditioning of a whole sampling run: by `prepare` once per prompt, and computed again in every step.
 */
export function conditioningCase(work: ConditioningWork): Case {
  return {
    id: 'conditioning',
    title: `Conditioning of ${work.steps} steps, ${frames} frames, with guidance`,
    group: 'Sampling run',
    unit: 'ns',
    rounds: 5,
    note:
      'The peers do what the reference does: patches, timestep and caption anew in each step. ' +
      'The product computes what does not depend on the latent once (`prepare`).',
    async runners({ threads, peers, python }) {
      const data = dataOf(work);
      const runners = [await productRunner(work, data)];
      if (peers) {
        runners.push(await onnxRunner(work, data, threads));
        runners.push(...(await pythonRunners(work, data, threads, python)));
      }
      return runners;
    },
  };
}
