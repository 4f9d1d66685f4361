// A worker does not inherit the loader of TypeScript. With Node.js 20 it needs both registrations:
// the benchmark's files are ES modules, the tests' tables CommonJS.
import { register as registerCommonJs } from 'tsx/cjs/api';
import { register } from 'tsx/esm/api';

registerCommonJs();
register();
await import('./process.ts');
