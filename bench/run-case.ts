// The process that main.ts starts to measure one case.
import { allCases } from './cases/index.js';
import { measure } from './measure.js';
import type { CaseContext } from './types.js';

export interface CaseRequest {
  id: string;
  rounds: number;
  context: CaseContext;
}

process.once('message', (request: CaseRequest) => {
  const item = allCases().find(({ id }) => id === request.id)!;
  measure(item, request.context, request.rounds).then(
    (result) => process.send!({ result }, () => process.exit(0)),
    (error: Error) => process.send!({ error: error.stack }, () => process.exit(1)),
  );
});
