// ESM users get the very classes that CommonJS users get: this file only passes them on.
export * from './index.js';
