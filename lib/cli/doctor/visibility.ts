import type { Finding } from './finding.js';
import type { HostFacts } from './host.js';

/**
 * Checks the two variables that hide NPUs. ASCEND_VISIBLE_DEVICES has the host's numbers; the container
 * runtime reads it at the start of a container. ASCEND_RT_VISIBLE_DEVICES is read by CANN in the process,
 * and counts from 0 the NPUs that the process could see without it.
 */
export function checkVisibility(
  environment: HostFacts['environment'],
  available: boolean,
): Finding[] {
  const runtime = environment.ASCEND_RT_VISIBLE_DEVICES;
  const container = environment.ASCEND_VISIBLE_DEVICES;
  if (runtime === undefined && container === undefined) {
    return [{ name: 'visibility', state: 'ok', text: 'neither variable is set: all NPUs' }];
  }
  const list: Finding[] = [];
  for (const [variable, value] of [
    ['ASCEND_RT_VISIBLE_DEVICES', runtime],
    ['ASCEND_VISIBLE_DEVICES', container],
  ] as const) {
    if (value !== undefined) list.push(checkList(variable, value));
  }
  const pair = checkPair(runtime, container, available);
  return pair === undefined ? list : [...list, pair];
}

function checkList(variable: string, value: string): Finding {
  const name = 'visibility';
  const shown = `${variable}=${JSON.stringify(value)}`;
  if (/\s/.test(value)) {
    return {
      ...{ name, state: 'failure' },
      text: `${shown}: CANN ignores the rest of the list after a space, without an error`,
      fix: `export ${variable}=${value.replace(/\s/g, '')}`,
    };
  }
  if (variable === 'ASCEND_RT_VISIBLE_DEVICES' && !/^\d+(,\d+)*$/.test(value)) {
    return {
      ...{ name, state: 'failure' },
      text:
        value === ''
          ? `${shown}: is set to nothing, which hides NPUs`
          : `${shown}: is not a list of numbers`,
      fix: `Unset it for all NPUs, or list them by their numbers from 0: export ${variable}=0,1`,
    };
  }
  if (variable === 'ASCEND_RT_VISIBLE_DEVICES') {
    const numbers = value.split(',').map(Number);
    if (numbers.some((number, i) => i > 0 && number <= numbers[i - 1]!)) {
      const ascending = [...new Set(numbers)].sort((a, b) => a - b);
      return {
        ...{ name, state: 'failure' },
        text: `${shown}: CANN takes ascending numbers alone, each once: ACL error 207004`,
        fix: `export ${variable}=${ascending.join(',')}`,
      };
    }
  }
  return { name, state: 'ok', text: shown };
}

/** Checks that the process asks only for NPUs that the container has. In it they count from 0. */
function checkPair(
  runtime: string | undefined,
  container: string | undefined,
  available: boolean,
): Finding | undefined {
  const logical = runtime === undefined ? undefined : numbersOf(runtime);
  const physical = container === undefined ? undefined : numbersOf(container);
  if (logical === undefined || physical === undefined) return undefined;
  const beyond = logical.filter((index) => index >= physical.length);
  if (beyond.length === 0) return undefined;
  const count = physical.length;
  return {
    // Outside of a container ASCEND_VISIBLE_DEVICES has no effect, so this is no failure there.
    ...{ name: 'visibility', state: available ? 'note' : 'failure' },
    text:
      `the container shows ${count} ${count === 1 ? 'NPU' : 'NPUs'}, counted from 0 in it, but ` +
      `ASCEND_RT_VISIBLE_DEVICES asks for number ${beyond.join(', ')}: ` +
      'ACL error 507033, 207004 or 107001',
    fix: `Unset it, or export ASCEND_RT_VISIBLE_DEVICES=${physical.map((_, i) => i).join(',')}`,
  };
}

/** `0,2-4` → 0, 2, 3, 4; undefined for other forms, which are not checked. */
function numbersOf(list: string): number[] | undefined {
  const numbers: number[] = [];
  for (const part of list.split(',')) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim());
    if (match === null) return undefined;
    const last = Number(match[2] ?? match[1]);
    for (let number = Number(match[1]); number <= last; number++) numbers.push(number);
  }
  return numbers;
}
