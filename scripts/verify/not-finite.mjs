// Prints as JSON what npu:0 and the CPU compute from numbers that are not finite or become too large, in
// each dtype. For an NPU docs/ascend.md has only assumptions. Called by scripts/verify/verify.mjs.
import latte from '../../dist/index.js';

const { CaptionProjection, PatchEmbed, Tensor } = latte;
const inputs = { NaN: NaN, Infinity: Infinity, '-Infinity': -Infinity, 'too large': 60000 };
const options = { height: 4, width: 4, patchSize: 2, inChannels: 4, embedDim: 16 };

function ones(shape, value = 1) {
  const size = shape.reduce((product, length) => product * length, 1);
  return new Tensor('float32', new Float32Array(size).fill(value), shape);
}

const layers = {
  PatchEmbed: (device, dtype) => {
    const layer = new PatchEmbed({ ...options, device, dtype });
    layer.loadStateDict({ 'proj.weight': ones([16, 4, 2, 2]), 'proj.bias': ones([16]) });
    return layer;
  },
  CaptionProjection: (device, dtype) => {
    const layer = new CaptionProjection({ inFeatures: 16, hiddenSize: 16, device, dtype });
    const weight = ones([16, 16]);
    const bias = ones([16]);
    layer.loadStateDict({
      ...{ 'linear_1.weight': weight, 'linear_1.bias': bias },
      ...{ 'linear_2.weight': weight, 'linear_2.bias': bias },
    });
    return layer;
  },
};
const shapes = { PatchEmbed: [1, 4, 4, 4], CaptionProjection: [1, 4, 16] };

/** The first number of each of the result's four rows. `value` is in the input of the first row. */
async function firstOfRows(name, device, dtype, value) {
  const layer = layers[name](device, dtype);
  const input = ones(shapes[name], name === 'PatchEmbed' && value === 60000 ? value : 1);
  input.data[0] = value;
  try {
    const result = await (await layer.forward(input)).to('cpu');
    const values = result.toFloat32Array();
    return [0, 1, 2, 3].map((row) => String(values[row * 16]));
  } finally {
    layer.dispose();
  }
}

const report = {};
for (const dtype of ['float32', 'float16', 'bfloat16']) {
  for (const name of Object.keys(layers)) {
    for (const [input, value] of Object.entries(inputs)) {
      const outcome = {};
      for (const device of ['npu:0', 'cpu']) {
        try {
          outcome[device] = (await firstOfRows(name, device, dtype, value)).join(' ');
        } catch (error) {
          outcome[device] = `${error.code}: ${error.message}`;
        }
      }
      report[`${name} ${dtype} ${input}`] = outcome;
    }
  }
}
console.log(JSON.stringify(report));
