// Prints `<passed> <failed>` from a report of vitest's json reporter. A test that never ended, because
// its process died, counts as failed. A test file that could not be loaded holds no tests to count, so
// the file itself counts as one failure.
import { readFileSync } from 'node:fs';

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
let passed = 0;
let failed = 0;
for (const file of report.testResults) {
  const failedHere = file.assertionResults.filter(
    ({ status }) => status === 'failed' || status === 'pending',
  ).length;
  passed += file.assertionResults.filter((test) => test.status === 'passed').length;
  failed += file.status === 'failed' ? Math.max(failedHere, 1) : failedHere;
}
console.log(`${passed} ${failed}`);
