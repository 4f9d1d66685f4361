// The deterministic DDIM scheduler (https://arxiv.org/abs/2010.02502, formula 12 with sigma 0), with the
// fields of diffusers' scheduler_config.json.
import { readFile } from 'node:fs/promises';

/** x_{t−1} = ofSample · x_t + ofNoise · ε. */
export interface DdimStep {
  readonly timestep: number;
  readonly ofSample: number;
  readonly ofNoise: number;
}

interface SchedulerConfig {
  num_train_timesteps: number;
  beta_start: number;
  beta_end: number;
  steps_offset: number;
  set_alpha_to_one: boolean;
  [field: string]: unknown;
}

/** The settings that this scheduler implements; a config with others is refused. */
const supported = {
  _class_name: 'DDIMScheduler',
  beta_schedule: 'linear',
  clip_sample: false,
  prediction_type: 'epsilon',
  rescale_betas_zero_snr: false,
  thresholding: false,
  timestep_spacing: 'leading',
  trained_betas: null,
};

export async function readSchedulerConfig(path: string): Promise<SchedulerConfig> {
  const config = JSON.parse(await readFile(path, 'utf8')) as SchedulerConfig;
  for (const [field, value] of Object.entries(supported)) {
    if (config[field] !== value) {
      throw new Error(`${path}: ${field} must be ${JSON.stringify(value)} here`);
    }
  }
  return config;
}

/** The steps of a run, from the noisiest to the last. */
export function ddimSteps(config: SchedulerConfig, count: number): DdimStep[] {
  const { num_train_timesteps: trained, beta_start: first, beta_end: last } = config;
  // ᾱ_t = Π (1 − β), with β evenly spaced.
  const products: number[] = [];
  let product = 1;
  for (let t = 0; t < trained; t++) {
    product *= 1 - (first + ((last - first) * t) / (trained - 1));
    products.push(product);
  }
  const finalProduct = config.set_alpha_to_one ? 1 : products[0]!;
  const stride = Math.floor(trained / count);
  return Array.from({ length: count }, (_, i) => {
    const timestep = (count - 1 - i) * stride + config.steps_offset;
    const alpha = products[timestep]!;
    const alphaNext = timestep - stride >= 0 ? products[timestep - stride]! : finalProduct;
    const ofSample = Math.sqrt(alphaNext / alpha);
    return {
      timestep,
      ofSample,
      ofNoise: Math.sqrt(1 - alphaNext) - ofSample * Math.sqrt(1 - alpha),
    };
  });
}
