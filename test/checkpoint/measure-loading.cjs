// For `node --require` before the library's entry file. Loads the embedding tensors (or layers) of a
// checkpoint, and prints how much memory and reading that took.
'use strict';
const { readFileSync } = require('node:fs');

const [, entry, folder, what, names] = process.argv;

/** The bytes that this process has read from files so far, as the kernel counts them. */
function bytesRead() {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))[1]);
}

/** The peak of this process's memory. Not maxRSS, which begins with the parent's. */
function highWaterMark() {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
}

async function main() {
  const { openCheckpoint, LatteEmbeddings } = require(entry);
  const memoryBefore = process.memoryUsage.rss();
  const readBefore = bytesRead();
  let tensorBytes = 0;
  const kept = [];
  if (what === 'layers') {
    kept.push(
      await LatteEmbeddings.fromPretrained(folder, {
        device: 'cpu',
        onProgress: ({ loaded }) => (tensorBytes = loaded),
      }),
    );
  } else {
    const checkpoint = await openCheckpoint(folder);
    for (const name of JSON.parse(names)) {
      const tensor = await checkpoint.tensor(name);
      tensorBytes += tensor.byteLength;
      kept.push(tensor);
    }
    await checkpoint.close();
  }
  const read = bytesRead() - readBefore;
  // The peak also counts memory that was freed during the loading.
  const extraMemory = highWaterMark() - memoryBefore - tensorBytes;
  process.stdout.write(
    JSON.stringify({ tensorBytes, extraMemory, bytesRead: read, kept: kept.length }),
  );
}

main().catch((error) => {
  process.stderr.write(String(error.stack));
  process.exitCode = 1;
});
