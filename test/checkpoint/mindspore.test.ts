import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../lib/index.js';
import { rejected } from '../support/errors.js';
import { valuesOf } from '../support/tensors.js';
import {
  field,
  floats,
  temporaryFolder,
  tensorProto,
  value,
  varint,
  withTrailer,
} from './builders.js';
import { describeRefusals, type MalformedFile } from './refusals.js';

const folder = temporaryFolder();
const f = floats(1, 2);
const a = value('a', [2], 'Float32', f);
const proto = tensorProto([2], 'Float32', f);

function wrapped(...fields: Buffer[]): Buffer {
  return field(1, Buffer.concat(fields));
}

const malformed: readonly MalformedFile[] = [
  ['no bytes', Buffer.alloc(0), 'holds no tensors'],
  ['a text', Buffer.from('this is no checkpoint at all, only text'), 'wire type'],
  ['NUL bytes', Buffer.alloc(64), 'does not start a protobuf field'],
  ['unknown fields only', field(5, 7), 'holds no tensors'],
  ['a wrong wire type for a value', field(1, 7), 'Checkpoint.value has wire type 0'],
  ['a group', Buffer.concat([a, varint(8 * 2 + 3)]), 'wire type 3'],
  ['a field key that is cut off', Buffer.concat([a, Buffer.of(0x8a)]), 'cut off'],
  ['a field number of 0', Buffer.concat([a, Buffer.of(2, 0)]), 'does not start a protobuf field'],
  ['a value that is cut off', a.subarray(0, a.length - 1), 'Checkpoint.value asks for', 'are left'],
  ['a value of 2^60 bytes', Buffer.concat([varint(10), varint(2n ** 60n)]), 'its length', '2^53'],
  [
    'a value of 2^40 bytes',
    Buffer.concat([varint(10), varint(2n ** 40n)]),
    `asks for ${2 ** 40} bytes`,
    '0 are left',
  ],
  ['a varint of eleven bytes', Buffer.concat([varint(10), Buffer.alloc(11, 0x80)]), 'its length'],
  [
    'a tag longer than its value',
    wrapped(Buffer.concat([varint(10), varint(200), Buffer.from('a')])),
    'tag',
    '200 bytes',
  ],
  [
    'a tensor longer than its value',
    wrapped(field(1, 'a'), Buffer.concat([varint(18), varint(99), proto])),
    '"a": tensor',
    '99 bytes',
  ],
  [
    'content longer than its tensor',
    wrapped(
      field(1, 'a'),
      field(2, Buffer.concat([field(1, 2), field(2, 'Float32'), varint(26), varint(9), f])),
    ),
    '"a": tensor_content',
    '9 bytes',
    '8 are left',
  ],
  ['a value without a tag', wrapped(field(2, proto)), 'has no tag'],
  ['a value without a tensor', wrapped(field(1, 'a')), '"a" has no tensor'],
  ['an empty value', wrapped(), 'has no tag'],
  ['two tags', wrapped(field(1, 'a'), field(1, 'b'), field(2, proto)), '"a" has two tags'],
  [
    'two tensors in a value',
    wrapped(field(1, 'a'), field(2, proto), field(2, proto)),
    '"a" has two tensors',
  ],
  [
    'a tag that is not UTF-8',
    wrapped(field(1, Buffer.of(0xff)), field(2, proto)),
    'tag is not UTF-8',
  ],
  [
    'a tag of 100 kB',
    wrapped(field(1, 'a'.repeat(100_000)), field(2, proto)),
    'tag is 100000 bytes long',
  ],
  ['a map tensor', wrapped(field(1, 'm'), field(3, field(1, proto))), '"m" is a maptensor'],
  [
    'no tensor_type',
    wrapped(field(1, 'a'), field(2, Buffer.concat([field(1, 2), field(3, f)]))),
    '"a": tensor_type is missing',
  ],
  [
    'no tensor_content',
    wrapped(field(1, 'a'), field(2, Buffer.concat([field(1, 2), field(2, 'Float32')]))),
    '"a": tensor_content is missing',
  ],
  [
    'two tensor_types',
    wrapped(field(1, 'a'), field(2, Buffer.concat([proto, field(2, 'Float32')]))),
    'tensor_type is there twice',
  ],
  [
    'two contents in a tensor',
    wrapped(field(1, 'a'), field(2, Buffer.concat([proto, field(3, f)]))),
    'tensor_content is there twice',
  ],
  ['an unknown type', value('a', [2], 'Float31', f), '"a": tensor_type "Float31" is unknown'],
  ['a type that is a property of every object', value('a', [2], 'constructor', f), 'is unknown'],
  ['a negative axis', value('a', [-1n], 'Float32', f), '"a": dims[0]', 'negative'],
  [
    'dims of a wrong wire type',
    wrapped(
      field(1, 'a'),
      field(2, Buffer.concat([varint(8 + 5), Buffer.alloc(4), field(2, 'Float32'), field(3, f)])),
    ),
    'dims have wire type 5',
  ],
  [
    'packed dims that are cut off',
    wrapped(
      field(1, 'a'),
      field(2, Buffer.concat([field(1, Buffer.of(0x80)), field(2, 'Float32'), field(3, f)])),
    ),
    'dims[0]',
    'cut off',
  ],
  [
    'too many axes',
    value('a', Array<number>(65).fill(1), 'Float32', floats(1)),
    'more than 32 axes',
  ],
  [
    'dims whose product overflows',
    value('a', [2 ** 40, 2 ** 40], 'Float32', f),
    '"a"',
    'overflows',
  ],
  ['dims that wrap to the length', value('a', [2 ** 33, 2 ** 31, 2], 'Float32', f), 'overflows'],
  ['content that is too short', value('a', [3], 'Float32', f), '"a"', '8 bytes', 'takes 12'],
  ['content that is too long', value('a', [1], 'Float32', f), '"a"', '8 bytes', 'takes 4'],
  ['a scalar of two elements', value('a', [0], 'Float32', f), '"a"', 'dims [0] takes 4'],
  [
    'a scalar without content',
    value('a', [0], 'Float32', Buffer.alloc(0)),
    '"a"',
    '0 bytes',
    'dims [0] takes 4',
  ],
  [
    'bfloat16 of three bytes an element',
    value('a', [2], 'BFloat16', Buffer.alloc(6)),
    '"a"',
    '6 bytes',
  ],
  ['a tensor that is there twice', Buffer.concat([a, a]), '"a"', '16 bytes', 'twice'],
  [
    'a tensor that comes again later',
    Buffer.concat([a, value('b', [2], 'Float32', f), a]),
    '"a" is there twice',
  ],
  [
    'a split tensor of two types',
    Buffer.concat([value('a', [4], 'Float32', f), value('a', [4], 'Int32', f)]),
    '"a"',
    'Float32 and Int32',
  ],
  [
    'a split tensor of two shapes',
    Buffer.concat([value('a', [4], 'Float32', f), value('a', [2, 2], 'Float32', f)]),
    '"a"',
    '[4] and [2, 2]',
  ],
  [
    'a split tensor that lacks a part',
    Buffer.concat([value('a', [6], 'Float32', f), value('a', [6], 'Float32', f)]),
    '"a"',
    '16 bytes',
    'takes 24',
  ],
  ['a wrong check-sum', withTrailer(a, 0x12345678), 'is damaged', '12345678'],
  [
    'a changed byte before the check-sum',
    (() => {
      const bytes = withTrailer(a);
      bytes[a.length - 1]! ^= 1;
      return bytes;
    })(),
    'is damaged',
  ],
  [
    'a check-sum over 32 bits',
    (() => {
      const bytes = withTrailer(a);
      bytes[a.length + 7] = 1;
      return bytes;
    })(),
    'is damaged',
  ],
  ['a trailer that is cut off', withTrailer(a).subarray(0, -1), 'wire type'],
  ['bytes after the trailer', Buffer.concat([withTrailer(a), Buffer.of(0)]), 'wire type'],
  ['encryption (AES-GCM)', Buffer.from('d85e3a7fdc404e37', 'hex'), 'is encrypted'],
  ['encryption (AES-CBC)', Buffer.from('d95e3a7fdc404e37', 'hex'), 'is encrypted'],
  ['encryption (SM4-CBC)', Buffer.from('da5e3a7fdc404e37', 'hex'), 'is encrypted'],
];

describeRefusals('a MindSpore .ckpt', 'ckpt', folder, malformed);

describe('a MindSpore .ckpt is read with', () => {
  async function open(name: string, ...parts: Buffer[]): ReturnType<typeof openCheckpoint> {
    return openCheckpoint(folder.write(`${name}.ckpt`, Buffer.concat(parts)));
  }

  async function valuesIn(name: string, ...parts: Buffer[]): Promise<unknown> {
    const checkpoint = await open(name, ...parts);
    try {
      const tensor = await checkpoint.tensor('a');
      return [tensor.dtype, tensor.shape, [...valuesOf(tensor)]];
    } finally {
      await checkpoint.close();
    }
  }

  it('packed dims', async () => {
    const packed = Buffer.concat([field(1, Buffer.of(1, 2)), field(2, 'Float32'), field(3, f)]);
    expect(await valuesIn('packed', wrapped(field(1, 'a'), field(2, packed)))).toEqual([
      'float32',
      [1, 2],
      [1, 2],
    ]);
  });

  it('dims partly packed, and varints longer than they need be', async () => {
    const dims = Buffer.concat([
      field(1, Buffer.of(0x81, 0)),
      field(1, 2),
      field(2, 'Float32'),
      field(3, f),
    ]);
    expect(await valuesIn('mixed', wrapped(field(1, 'a'), field(2, dims)))).toEqual([
      'float32',
      [1, 2],
      [1, 2],
    ]);
  });

  it('fields in any order, and unknown ones of every wire type', async () => {
    const unknown = [
      Buffer.concat([varint(8 * 9), varint(2n ** 64n - 1n)]),
      Buffer.concat([varint(8 * 9 + 1), Buffer.alloc(8, 255)]),
      field(9, 'skipped'),
      Buffer.concat([varint(8 * 9 + 5), Buffer.alloc(4, 255)]),
    ];
    const tensor = Buffer.concat([
      ...unknown,
      field(3, f),
      ...unknown,
      field(2, 'Float32'),
      field(1, 2),
    ]);
    const bytes = wrapped(...unknown, field(2, tensor), ...unknown, field(1, 'a'));
    expect(await valuesIn('unknown', ...unknown, bytes, ...unknown)).toEqual([
      'float32',
      [2],
      [1, 2],
    ]);
  });

  it('scalars: dims [0], and none', async () => {
    expect(await valuesIn('scalar', value('a', [0], 'Int32', Buffer.of(7, 0, 0, 0)))).toEqual([
      'int32',
      [],
      [7],
    ]);
    expect(await valuesIn('rank-0', value('a', [], 'Float32', floats(2.5)))).toEqual([
      'float32',
      [],
      [2.5],
    ]);
  });

  it('an empty tensor', async () => {
    expect(await valuesIn('empty', value('a', [3, 0], 'Float32', Buffer.alloc(0)))).toEqual([
      'float32',
      [3, 0],
      [],
    ]);
  });

  it('a tensor split over adjacent entries, at any byte', async () => {
    const whole = floats(1, 2, 3, 4);
    const parts = [
      whole.subarray(0, 3),
      Buffer.alloc(0),
      whole.subarray(3, 10),
      whole.subarray(10),
    ];
    const bytes = parts.map((part) => value('a', [2, 2], 'Float32', part));
    expect(
      await valuesIn(
        'split',
        value('0', [2], 'Float32', f),
        ...bytes,
        value('z', [2], 'Float32', f),
      ),
    ).toEqual(['float32', [2, 2], [1, 2, 3, 4]]);
  });

  it('bfloat16 in two bytes an element, and in four, split or not', async () => {
    const wide = floats(1, -2.5, 3, 0.5);
    const narrow = Buffer.concat([0, 1, 2, 3].map((i) => wide.subarray(4 * i + 2, 4 * i + 4)));
    const expected = ['bfloat16', [4], [1, -2.5, 3, 0.5]];
    expect(await valuesIn('bf16', value('a', [4], 'BFloat16', narrow))).toEqual(expected);
    expect(await valuesIn('bf16-wide', value('a', [4], 'BFloat16', wide))).toEqual(expected);
    const split = [wide.subarray(0, 6), wide.subarray(6)].map((part) =>
      value('a', [4], 'BFloat16', part),
    );
    expect(await valuesIn('bf16-split', ...split)).toEqual(expected);
  });

  it('bfloat16 in four bytes an element, longer than the buffer it is read through', async () => {
    const count = 300_000;
    const wide = Float32Array.from({ length: count }, (_, i) => i % 251);
    const checkpoint = await open(
      'bf16-long',
      value('a', [count], 'BFloat16', Buffer.from(wide.buffer)),
    );
    const values = valuesOf(await checkpoint.tensor('a'));
    expect(Buffer.from(values.buffer).equals(Buffer.from(Float64Array.from(wide).buffer))).toBe(
      true,
    );
    await checkpoint.close();
  });

  it('a check-sum', async () => {
    expect(await valuesIn('sum', withTrailer(a))).toEqual(['float32', [2], [1, 2]]);
  });

  it('a check-sum over more than one piece', async () => {
    const content = Buffer.alloc(2_500_000, 7);
    expect(
      await valuesIn(
        'long-sum',
        withTrailer(Buffer.concat([a, value('b', [625_000], 'Float32', content)])),
      ),
    ).toEqual(['float32', [2], [1, 2]]);
  });

  it('content that looks like a trailer', async () => {
    const content = Buffer.concat([Buffer.from('crc_num'), Buffer.alloc(13)]);
    const checkpoint = await open('looks', value('a', [5], 'Float32', content.subarray(0, 20)));
    expect(checkpoint.names()).toEqual(['a']);
    await checkpoint.close();
  });

  it('types that no Tensor has: listed, but not loaded', async () => {
    const types = { Bool: 'bool', UInt8: 'uint8', Int8: 'int8' };
    const checkpoint = await open(
      'types',
      ...Object.keys(types).map((type) => value(type, [2], type, Buffer.of(0, 1))),
      value('text', [0], 'str', Buffer.from('h\0\0\0i\0\0\0')),
    );
    for (const [name, dtype] of Object.entries({ ...types, text: 'string' })) {
      expect(checkpoint.info(name).dtype).toBe(dtype);
      await rejected(() => checkpoint.tensor(name), 'ERR_DTYPE', `"${name}"`, dtype);
    }
    await checkpoint.close();
  });
});
