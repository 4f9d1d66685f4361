import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../lib/index.js';
import { rejected } from '../support/errors.js';
import { valuesOf } from '../support/tensors.js';
import { entry, floats, safetensors, temporaryFolder } from './builders.js';
import { describeRefusals, type MalformedFile } from './refusals.js';

const folder = temporaryFolder();
const a = entry('a', 'F32', [2], 0, 8);

function a4(fields: string): string {
  return `{"a":{${fields}}}`;
}

const malformed: readonly MalformedFile[] = [
  ['an empty file', Buffer.alloc(0), '8 bytes', '0 bytes'],
  ['a file shorter than 8 bytes', Buffer.alloc(7), '8 bytes', '7 bytes'],
  [
    'a header length over the file',
    Buffer.concat([Buffer.from([200, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')]),
    'header length is 200',
    '2 bytes',
  ],
  [
    'a header length over 100 000 000',
    Buffer.from([1, 0xe1, 0xf5, 5, 0, 0, 0, 0]),
    'header length is 100000001',
    '100000000',
  ],
  ['a header length of 2^64 - 1', Buffer.alloc(8, 255), 'header length is 18446744073709551615'],
  ['no header at all', safetensors(''), 'must be an object'],
  ['a header that is not UTF-8', safetensors(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])), 'UTF-8'],
  ['a header with a byte order mark', safetensors(`\ufeff{${a}}`, 8), 'byte order mark'],
  ['a header that is an array', safetensors('[]'), 'must be an object'],
  ['a header that is a string', safetensors('"{}"'), 'must be an object'],
  ['a header that is null', safetensors('null'), 'must be an object'],
  ['a header with a trailing NUL', safetensors(`{${a}}\0`, 8), 'NUL'],
  ['a header with something after it', safetensors(`{${a}}{}`, 8), 'follows the closing brace'],
  ['a header that is cut off', safetensors(`{${a}`, 8), 'closing brace'],
  ['a header with a trailing comma', safetensors(`{${a},}`, 8), 'must be a string'],
  ['a control character in a name', safetensors('{"a\n":1}'), 'control character'],
  ['an unknown escape', safetensors('{"\\x61":1}'), 'escape'],
  ['half a surrogate pair', safetensors('{"\\ud800":1}'), 'surrogate'],
  ['a duplicate tensor name', safetensors(`{${a},${a}}`, 8), 'tensor "a" is there twice'],
  [
    'a duplicate name behind an escape',
    safetensors(`{${a},${a.replace('"a"', '"\\u0061"')}}`, 8),
    'tensor "a" is there twice',
  ],
  [
    'a duplicate field',
    safetensors(a4('"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]'), 8),
    'tensor "a"',
    '"dtype" twice',
  ],
  [
    'a duplicate unknown field',
    safetensors(a4('"x":1,"x":1,"dtype":"F32","shape":[2],"data_offsets":[0,8]'), 8),
    '"x" twice',
  ],
  [
    'a duplicate __metadata__',
    safetensors('{"__metadata__":{},"__metadata__":{}}'),
    '__metadata__ is there twice',
  ],
  ['a duplicate metadata name', safetensors('{"__metadata__":{"k":"1","k":"2"}}'), '"k" twice'],
  ['a tensor that is no object', safetensors('{"a":[]}'), 'tensor "a" must be an object'],
  [
    'a missing dtype',
    safetensors(a4('"shape":[2],"data_offsets":[0,8]'), 8),
    'tensor "a" has no dtype',
  ],
  [
    'a missing shape',
    safetensors(a4('"dtype":"F32","data_offsets":[0,8]'), 8),
    'tensor "a" has no shape',
  ],
  [
    'missing offsets',
    safetensors(a4('"dtype":"F32","shape":[2]'), 8),
    'tensor "a" has no data_offsets',
  ],
  [
    'an unknown dtype',
    safetensors(entry('a', 'F33', [2], 0, 8).replace(/^/, '{') + '}', 8),
    'tensor "a": dtype "F33" is unknown',
  ],
  [
    'a lower-case dtype',
    safetensors(`{${entry('a', 'f32', [2], 0, 8)}}`, 8),
    'dtype "f32" is unknown',
  ],
  [
    'a dtype that is a property of every object',
    safetensors(`{${entry('a', 'constructor', [2], 0, 8)}}`, 8),
    'is unknown',
  ],
  [
    'negative offsets',
    safetensors(`{${entry('a', 'F32', [2], -8, 0)}}`, 8),
    'tensor "a": data_offsets[0]',
    'whole number',
  ],
  [
    'fractional offsets',
    safetensors(`{${a.replace('8', '8.0')}}`, 8),
    'data_offsets[1]',
    'whole number',
  ],
  [
    'offsets written 4e0',
    safetensors(`{${entry('a', 'F32', [1], 0, 4).replace('4]', '4e0]')}}`, 4),
    'data_offsets[1]',
    'digits alone',
  ],
  [
    'offsets written 4E0',
    safetensors(`{${entry('a', 'F32', [1], 0, 4).replace('4]', '4E0]')}}`, 4),
    'data_offsets[1]',
    'digits alone',
  ],
  ['offsets with a leading zero', safetensors(`{${a.replace('8', '08')}}`, 8), 'digits alone'],
  ['offsets as strings', safetensors(`{${a.replace('8', '"8"')}}`, 8), 'whole number'],
  ['offsets over 2^53', safetensors(`{${a.replace('8', '9007199254740993')}}`, 8), '2^53'],
  [
    'one offset',
    safetensors(a4('"dtype":"F32","shape":[0],"data_offsets":[0]')),
    'must be two numbers',
  ],
  [
    'three offsets',
    safetensors(a4('"dtype":"F32","shape":[0],"data_offsets":[0,0,0]')),
    'must be two numbers',
  ],
  [
    'reversed offsets',
    safetensors(`{${entry('a', 'F32', [2], 8, 0)}}`, 8),
    'tensor "a"',
    '[8, 0] run backwards',
  ],
  [
    'overlapping tensors',
    safetensors(`{${a},${entry('b', 'F32', [2], 4, 12)}}`, 12),
    'tensor "b"',
    'overlap those of tensor "a"',
  ],
  ['two tensors in one place', safetensors(`{${a},${entry('b', 'F32', [2], 0, 8)}}`, 8), 'overlap'],
  [
    'an empty tensor within another',
    safetensors(`{${a},${entry('b', 'F32', [0], 4, 4)}}`, 8),
    'overlap',
  ],
  [
    'a hole before the first tensor',
    safetensors(`{${entry('a', 'F32', [2], 4, 12)}}`, 12),
    'tensor "a"',
    'hole of 4 bytes after the header',
  ],
  [
    'a hole between tensors',
    safetensors(`{${a},${entry('b', 'F32', [1], 12, 16)}}`, 16),
    'tensor "b"',
    'hole of 4 bytes after tensor "a"',
  ],
  [
    'an empty tensor beyond the rest',
    safetensors(`{${a},${entry('b', 'F32', [0], 12, 12)}}`, 12),
    'hole',
  ],
  ['offsets past the end', safetensors(`{${a}}`, 7), 'tensor "a"', '1 bytes past the end'],
  ['bytes after the last tensor', safetensors(`{${a}}`, 9), '1 bytes follow the last tensor'],
  ['bytes after an empty header', safetensors('{}', 3), '3 bytes follow the header'],
  [
    'a span that is too long',
    safetensors(`{${entry('a', 'F32', [2], 0, 12)}}`, 12),
    'tensor "a"',
    '12 bytes',
    'takes 8',
  ],
  [
    'a span that is too short',
    safetensors(`{${entry('a', 'F64', [2], 0, 8)}}`, 8),
    '8 bytes',
    'takes 16',
  ],
  [
    'elements that fill no whole bytes',
    safetensors(`{${entry('a', 'F4', [3], 0, 2)}}`, 2),
    'no whole number of bytes',
  ],
  [
    'a product that overflows',
    safetensors(`{${entry('a', 'U8', [4294967296, 4294967296], 0, 8)}}`, 8),
    'tensor "a"',
    'overflows',
  ],
  [
    'a product that overflows before a zero',
    safetensors(`{${entry('a', 'U8', [4294967296, 4294967296, 0], 0, 0)}}`),
    'overflows',
  ],
  [
    'a product that wraps to the span',
    safetensors(`{${entry('a', 'F32', [2 ** 32, 2 ** 32 / 4, 4], 0, 0)}}`),
    'overflows',
  ],
  [
    'a negative axis',
    safetensors(`{${entry('a', 'F32', [-1, -2], 0, 8)}}`, 8),
    'tensor "a": shape[0]',
    'whole number',
  ],
  [
    'a fractional axis',
    safetensors(a4('"dtype":"F32","shape":[2.0],"data_offsets":[0,8]'), 8),
    'shape[0]',
  ],
  [
    'a shape that is a number',
    safetensors(a4('"dtype":"F32","shape":2,"data_offsets":[0,8]'), 8),
    'shape must be an array',
  ],
  [
    'metadata that is no string',
    safetensors('{"__metadata__":{"k":1}}'),
    '__metadata__ "k" must be a string',
  ],
  [
    'metadata that is an object',
    safetensors('{"__metadata__":{"k":{}}}'),
    '__metadata__ "k" must be a string',
  ],
  [
    'metadata that is an array',
    safetensors('{"__metadata__":[]}'),
    '__metadata__ must be an object',
  ],
  [
    'an unknown field that is no JSON',
    safetensors(a4('"x":nul,"dtype":"F32","shape":[2],"data_offsets":[0,8]'), 8),
    'not JSON',
  ],
  ['nesting without end', safetensors(`{"a":{"x":${'['.repeat(1_000_000)}`), 'nested more than'],
];

describeRefusals('a .safetensors file', 'safetensors', folder, malformed);

describe('a .safetensors file is read with', () => {
  async function open(name: string, bytes: Buffer): ReturnType<typeof openCheckpoint> {
    return openCheckpoint(folder.write(`${name}.safetensors`, bytes));
  }

  it('no tensors', async () => {
    const checkpoint = await open('none', safetensors('{}'));
    expect(checkpoint.names()).toEqual([]);
    await checkpoint.close();
  });

  it('names that are properties of every object, and the empty name', async () => {
    const names = ['__proto__', 'constructor', 'toString', '', ' ', 'ключ'];
    const header = names.map((name, i) => entry(name, 'F32', [1], 4 * i, 4 * i + 4)).join(',');
    const checkpoint = await open('names', safetensors(`{${header}}`, floats(0, 1, 2, 3, 4, 5)));
    expect(checkpoint.names()).toEqual(names);
    for (const [i, name] of names.entries()) {
      expect(checkpoint.info(name)).toEqual({ dtype: 'float32', shape: [1] });
      expect(valuesOf(await checkpoint.tensor(name))).toEqual(Float64Array.of(i));
    }
    await rejected(
      async () => checkpoint.info('hasOwnProperty'),
      'ERR_CHECKPOINT',
      'no tensor "hasOwnProperty"',
    );
    await checkpoint.close();
  });

  it('scalars, empty tensors and misaligned data', async () => {
    const header = [
      entry('byte', 'U8', [1], 0, 1),
      entry('scalar', 'F64', [], 1, 9),
      entry('empty', 'F32', [3, 0, 5], 9, 9),
      entry('last', 'F32', [2], 9, 17),
    ];
    const data = Buffer.concat([
      Buffer.of(1),
      Buffer.from(Float64Array.of(-2.5).buffer),
      floats(7, 8),
    ]);
    const checkpoint = await open('odd', safetensors(`{${header.join(',')}}`, data));
    const scalar = await checkpoint.tensor('scalar');
    expect([scalar.dtype, scalar.shape, ...valuesOf(scalar)]).toEqual(['float64', [], -2.5]);
    expect((await checkpoint.tensor('empty')).shape).toEqual([3, 0, 5]);
    expect(valuesOf(await checkpoint.tensor('last'))).toEqual(Float64Array.of(7, 8));
    await checkpoint.close();
  });

  it('tensors whose order in the header is not that of the data', async () => {
    const header = `{${entry('b', 'F32', [1], 4, 8)},${entry('empty', 'F32', [0], 4, 4)},${entry('a', 'F32', [1], 0, 4)}}`;
    const checkpoint = await open('order', safetensors(header, floats(1, 2)));
    expect(checkpoint.names()).toEqual(['b', 'empty', 'a']);
    expect(valuesOf(await checkpoint.tensor('b'))).toEqual(Float64Array.of(2));
    await checkpoint.close();
  });

  it('white space around and in the header, unknown fields, and metadata', async () => {
    const header = `  \n{ "__metadata__" : {"format":"pt","__proto__":"x"} ,\t"a":{"x":{"y":[1,-2.5e3,null,"s",{}]},"dtype":"F32", "shape":[ 2 ],"data_offsets":[0 ,8]} } \r\n  `;
    const checkpoint = await open('space', safetensors(header, floats(1, 2)));
    expect([...checkpoint.metadata]).toEqual([
      ['format', 'pt'],
      ['__proto__', 'x'],
    ]);
    expect(valuesOf(await checkpoint.tensor('a'))).toEqual(Float64Array.of(1, 2));
    await checkpoint.close();
  });

  it('dtypes that no Tensor has: listed, but not loaded', async () => {
    const dtypes = [
      ['BOOL', 'bool', 1],
      ['U8', 'uint8', 1],
      ['I8', 'int8', 1],
      ['F8_E4M3', 'float8_e4m3', 1],
      ['F8_E5M2', 'float8_e5m2', 1],
      ['U16', 'uint16', 2],
      ['I16', 'int16', 2],
      ['U32', 'uint32', 4],
      ['U64', 'uint64', 8],
      ['C64', 'complex64', 8],
    ] as const;
    let end = 0;
    const header = dtypes.map(([stored, , bytes]) =>
      entry(stored, stored, [1], end, (end += bytes)),
    );
    const checkpoint = await open('dtypes', safetensors(`{${header.join(',')}}`, end));
    for (const [stored, dtype] of dtypes) {
      expect(checkpoint.info(stored)).toEqual({ dtype, shape: [1] });
      await rejected(() => checkpoint.tensor(stored), 'ERR_DTYPE', `"${stored}"`, dtype);
    }
    await checkpoint.close();
  });

  it('twenty thousand tensors', async () => {
    const count = 20_000;
    const header = Array.from({ length: count }, (_, i) =>
      entry(`t${i}`, 'U8', [1], i, i + 1),
    ).join(',');
    const checkpoint = await open('long', safetensors(`{${header}}`, count));
    expect(checkpoint.names()).toHaveLength(count);
    await checkpoint.close();
  });
});
