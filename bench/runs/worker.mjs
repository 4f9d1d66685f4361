// Registers the TypeScript loader, which a worker does not inherit. Node.js 20 needs both
// registrations: the benchmark's files are ES modules, the tests' tables CommonJS.
import { register as registerCommonJs } from 'tsx/cjs/api';
import { register } from 'tsx/esm/api';

registerCommonJs();
register();
await import('./process.ts');
