import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Under a sanitizer (scripts/sanitize.sh) forwards take many times as long, so that comparing durations
// is of no use; other tests run the same code. Broken kernels are programs of
// their own, which no sanitizer watches, and verify-on-npu.sh runs tests that run by themselves.
const sanitized = process.env.LATTE_SANITIZER
  ? [
      'test/lifecycle/07-event-loop.test.ts',
      'test/twin/mutants.test.ts',
      'test/npu/verify-on-npu.test.ts',
      // Counts the kernels of the usual build, in a program of its own.
      'test/performance/instructions.test.ts',
    ]
  : [];

// On the twin (`npm run twin -- npm test`) there are NPUs, so tests of a host without one do not apply.
const twin = existsSync(join(process.env.ASCEND_HOME_PATH ?? '', 'lib64', 'twin_control.node'));
const fused =
  process.env.LATTE_ASCEND_FUSED_PATCH !== '0' &&
  process.env.LATTE_ASCEND_KERNELS !== 'off' &&
  !process.env.LATTE_TWIN_SOC?.startsWith('Ascend910A');
// What CANN's operators move is counted where nothing else computes.
const operatorsAlone =
  process.env.LATTE_ASCEND_KERNELS === 'off' && process.env.LATTE_TWIN_SOC === undefined;
const elsewhere = twin
  ? [
      'test/device/without-npu.test.ts',
      // These run no device, or the CPU alone: the suite on the CPU runs them.
      'test/twin/mutants.test.ts',
      'test/interop/**',
      'test/performance/**',
      'test/native/native.test.ts',
      'test/reference/**',
      'test/checkpoint/{config,fuzz,hostile,mindspore,models,names,open,real-files}.test.ts',
      'test/checkpoint/{resources,safetensors}.test.ts',
      'test/cli/{inspect,options,output-file,output-refused,plot}.test.ts',
      'test/parity/{instruction-sets,threads}.test.ts',
      ...(fused ? [] : ['test/npu/fused.test.ts']),
      ...(operatorsAlone ? [] : ['test/npu/traffic.test.ts']),
    ]
  : ['test/npu/**'];

// Seconds to minutes each, for many or large cases, or in need of other packages. `npm test` leaves
// them to `npm run test:all`, which runs them last. CONTRIBUTING.md lists how long each takes.
const slow = [
  // Need the packages that examples/sample installs.
  'test/interop/**/*.test.ts',
  'test/checkpoint/hostile.test.ts',
  'test/lifecycle/04-worker-threads.test.ts',
  'test/lifecycle/06-memory.test.ts',
  'test/lifecycle/08-failing-calls.test.ts',
  'test/parity/{full-size,instruction-sets,threads}.test.ts',
  'test/performance/**/*.test.ts',
  'test/twin/mutants.test.ts',
];
// valgrind counts on x86-64; scripts/check-aarch64.sh counts AArch64's instructions.
const counted = process.arch === 'x64' ? [] : ['test/performance/**'];
const never = ['test/golden/**', 'test/**/fixtures/**', ...counted, ...sanitized, ...elsewhere];

// No test measures absolute time: this only stops what hangs. Full-size tensors and child processes take
// their time on a small machine.
const limits = {
  testTimeout: (process.env.LATTE_SANITIZER ? 10 : 5) * 60_000,
  hookTimeout: 5 * 60_000,
};

const onDevices = {
  // The tests' side of the twin loads CANN's libraries before the addon does. CANN's signal
  // handlers would then report the end of every vitest process.
  env: twin ? { ASCEND_COREDUMP_SIGNAL: 'none' } : {},
  setupFiles: twin ? ['test/support/twin-report.ts'] : [],
};

export default defineConfig({
  test: {
    // One process a test file: the addon's threads and memory of one file cannot reach another.
    pool: 'forks',
    // Vitest leaves one processor free: on two that halves the speed, for nothing is timed.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    ...limits,
    projects: [
      {
        extends: true,
        test: {
          ...onDevices,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/package/**', ...slow, ...never],
        },
      },
      {
        extends: true,
        test: {
          ...onDevices,
          name: 'slow',
          include: slow,
          exclude: never,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        // The service imports the library by its package's name.
        resolve: { alias: { 'latte-embeddings': join(import.meta.dirname, 'lib', 'index.ts') } },
        test: {
          ...onDevices,
          name: 'server',
          include: twin ? ['server/test/npu/**/*.test.ts'] : ['server/test/**/*.test.ts'],
          exclude: twin ? [] : ['server/test/npu/**'],
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          // What users install: needs `npm run build`, runs npm, tsc and compilers of its own.
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          exclude: [
            'test/**/fixtures/**',
            // Each takes as long as all managers of test/package/install.test.ts.
            ...(process.env.LATTE_INSTALL_TESTS === 'all' ? [] : ['test/package/next.test.ts']),
            ...(process.env.LATTE_INSTALL_TESTS === 'all' && process.arch === 'x64'
              ? []
              : ['test/package/emulated.test.ts']),
          ],
          testTimeout: 10 * 60_000,
          hookTimeout: 15 * 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
