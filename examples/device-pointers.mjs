// Shares an NPU's memory with another ACL addon of the process, in both directions, without a copy.
// The other addon here is a part of the simulated NPU. In a real program it may decode images:
//   npm run twin -- node examples/device-pointers.mjs
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { CaptionProjection, openDevice, Tensor } from 'latte-embeddings';

const require = createRequire(import.meta.url);
const device = 'npu:0';
await openDevice(device);
const other = require(join(process.env.ASCEND_HOME_PATH, 'lib64', 'twin_control.node'));

// The other addon fills its memory on a stream of its own, and then records an event on that stream.
const input = Float32Array.from({ length: 16 }, (_, i) => i);
const { pointer, event } = other.fillForeign(0, new Uint8Array(input.buffer));
// The first forward that reads the tensor waits for the event, on the NPU. Tensor.fromDevicePointer
// takes no ownership: the other addon keeps the memory until the forwards that read it have settled.
const caption = Tensor.fromDevicePointer(pointer, 'float32', [2, 8], device, { event });

const layer = new CaptionProjection({ inFeatures: 8, hiddenSize: 4, device });
layer.loadStateDict({
  'linear_1.weight': Tensor.zeros([4, 8]),
  'linear_1.bias': Tensor.zeros([4]),
  'linear_2.weight': Tensor.zeros([4, 4]),
  'linear_2.bias': new Tensor('float32', Float32Array.of(1, 2, 3, 4), [4]),
});
const result = await layer.forward(caption);

// In the other direction no event is needed: the promise has resolved, so the values are in the memory at
// the pointer. The pointer is valid until `result` is disposed.
const bytes = other.readForeign(0, result.devicePointer, result.byteLength);
console.log(result.shape, [...new Float32Array(bytes.slice().buffer)]);

caption.dispose();
result.dispose();
layer.dispose();
other.freeForeign();
