// Starts several workers, each with a layer of its own. All share one pool of threads and one of memory.
//   node examples/workers.mjs
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { CaptionProjection, Tensor } from 'latte-embeddings';

const sizes = { inFeatures: 64, hiddenSize: 32 };

if (isMainThread) {
  const workers = [1, 2, 3].map(
    (scale) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: scale });
        worker.once('message', resolve);
        worker.once('error', reject);
      }),
  );
  for (const { scale, shape, values } of await Promise.all(workers)) {
    console.log(scale, shape, values[0]);
  }
} else {
  const layer = new CaptionProjection({ ...sizes, device: 'cpu' });
  const { inFeatures, hiddenSize } = sizes;
  layer.loadStateDict({
    'linear_1.weight': Tensor.zeros([hiddenSize, inFeatures]),
    'linear_1.bias': Tensor.zeros([hiddenSize]),
    'linear_2.weight': Tensor.zeros([hiddenSize, hiddenSize]),
    'linear_2.bias': new Tensor('float32', new Float32Array(hiddenSize).fill(workerData), [
      hiddenSize,
    ]),
  });
  const result = await layer.forward(Tensor.zeros([2, 120, inFeatures]));
  // Memory of the library cannot be transferred to another thread, so a copy is transferred.
  const values = result.toFloat32Array();
  const { shape } = result;
  result.dispose();
  parentPort.postMessage({ scale: workerData, shape, values }, [values.buffer]);
}
