// For `node --require` before the library's entry file. Opens some checkpoints one after another, and
// prints for each its number of tensors, or why it was refused.
'use strict';
const [, entry, ...paths] = process.argv;

async function main() {
  const { openCheckpoint } = require(entry);
  for (const path of paths) {
    try {
      const checkpoint = await openCheckpoint(path);
      console.log(checkpoint.names().length);
      await checkpoint.close();
    } catch (error) {
      console.log(error.message);
    }
  }
}

main().catch((error) => {
  process.stderr.write(String(error.stack));
  process.exitCode = 1;
});
