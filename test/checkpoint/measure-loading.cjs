// Run with `node --require` before the library's entry file: loads the embedding tensors (or layers)
// of a checkpoint, and prints how much memory and reading that took.
'use strict';
const { readFileSync } = require('node:fs');

const [, entry, folder, what, names] = process.argv;

/** What this process has read from files so far, by the kernel's count. */
function bytesRead() {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))[1]);
}

/** The most memory that this process has had: not maxRSS, which begins with the parent's own. */
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
  // The high-water mark, so that what was given back on the way counts as well.
  const extraMemory = highWaterMark() - memoryBefore - tensorBytes;
  process.stdout.write(
    JSON.stringify({ tensorBytes, extraMemory, bytesRead: read, kept: kept.length }),
  );
}

main().catch((error) => {
  process.stderr.write(String(error.stack));
  process.exitCode = 1;
});
