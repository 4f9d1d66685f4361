import type { DType } from '../../lib/index.js';
import type { Case } from './run.js';

const tables = ['float64', 'float32'] as const;

function everyDtype(op: Case['op'], rows: readonly Omit<Case, 'op' | 'dtype'>[]): Case[] {
  return rows.flatMap((row) => tables.map((dtype) => ({ op, dtype, ...row })));
}

const positionTables: Case[] = [
  ...everyDtype('get1dSincosPosEmbed', [
    { note: 'Latte width', options: { embedDim: 1152, length: 17 } },
    { note: 'two channels', options: { embedDim: 2, length: 9 } },
    { note: 'half of them odd', options: { embedDim: 6, length: 3, interpolationScale: 3 } },
    { note: 'no positions', options: { embedDim: 8, length: 0 } },
    { note: 'baseSize has no effect', options: { embedDim: 8, length: 5, baseSize: 99 } },
    { note: 'long', options: { embedDim: 34, length: 1001, interpolationScale: 0.7 } },
  ]),
  ...everyDtype('get1dSincosPosEmbedFromGrid', [
    {
      note: 'fractions and negatives',
      options: { embedDim: 10 },
      inputs: { pos: { shape: [5], dtype: 'float64', values: [0, -1.5, 2.25, 1e4, -1e-9] } },
    },
    {
      note: 'any rank',
      options: { embedDim: 8 },
      inputs: { pos: { shape: [2, 1, 3], dtype: 'float32', limit: 50 } },
    },
    {
      note: 'integers',
      options: { embedDim: 12 },
      inputs: { pos: { shape: [3], dtype: 'int64', values: [0, 7, -9] } },
    },
    {
      note: 'int32',
      options: { embedDim: 12 },
      inputs: { pos: { shape: [3], dtype: 'int32', values: [0, 7, -9] } },
    },
    {
      note: 'float16',
      options: { embedDim: 12 },
      inputs: { pos: { shape: [4], dtype: 'float16', limit: 20 } },
    },
    {
      note: 'a scalar',
      options: { embedDim: 4 },
      inputs: { pos: { shape: [], dtype: 'float64', values: [3] } },
    },
    { note: 'none', options: { embedDim: 4 }, inputs: { pos: { shape: [0], dtype: 'float64' } } },
  ]),
  ...everyDtype('get2dSincosPosEmbed', [
    { note: 'square', options: { embedDim: 16, gridSize: 4 } },
    { note: 'h × w', options: { embedDim: 36, gridSize: [3, 7], baseSize: 3 } },
    { note: 'one point', options: { embedDim: 4, gridSize: [1, 1] } },
    { note: 'one row', options: { embedDim: 8, gridSize: [1, 9], interpolationScale: 2 } },
    {
      note: 'Latte width',
      options: { embedDim: 1152, gridSize: [5, 4], baseSize: 32, interpolationScale: 1.5 },
    },
    { note: 'an empty grid', options: { embedDim: 8, gridSize: [0, 4] } },
    {
      note: 'extra tokens',
      options: { embedDim: 8, gridSize: [2, 3], clsToken: true, extraTokens: 2 },
    },
    {
      note: 'extra tokens without clsToken',
      options: { embedDim: 8, gridSize: [2, 3], extraTokens: 2 },
    },
    {
      note: 'clsToken without extra tokens',
      options: { embedDim: 8, gridSize: [2, 3], clsToken: true },
    },
  ]),
  ...everyDtype('get2dSincosPosEmbedFromGrid', [
    {
      note: '[2, n]',
      options: { embedDim: 8 },
      inputs: { grid: { shape: [2, 5], dtype: 'float32', limit: 30 } },
    },
    {
      note: '[2, 1, h, w]',
      options: { embedDim: 20 },
      inputs: { grid: { shape: [2, 1, 2, 3], dtype: 'float64', limit: 30 } },
    },
    {
      note: 'integers',
      options: { embedDim: 4 },
      inputs: { grid: { shape: [2, 2], dtype: 'int32', values: [0, 1, 5, -6] } },
    },
  ]),
];

/** Timesteps that each dtype can hold. */
const integersAndMore: [DType, number[]][] = [
  ['int64', [0, 1, 999, -5, 2 ** 40]],
  ['int32', [0, 1, 999, -5]],
  ['float64', [0, 0.1, 999.9, -0.5, 1e6]],
  ['float32', [0, 0.1, 999.9, -0.5, 1e6]],
  ['float16', [0, 0.1, 999.5, -0.5]],
  ['bfloat16', [0, 0.1, 992, -0.5]],
];

const latte = { flipSinToCos: true, downscaleFreqShift: 0 };

const timesteps: Case[] = [
  ...integersAndMore.map(([dtype, values]): Case => ({
    op: 'Timesteps',
    dtype: 'float32',
    note: `${dtype} timesteps`,
    options: { numChannels: 256, ...latte },
    inputs: { timesteps: { shape: [values.length], dtype, values } },
  })),
  ...(
    [
      ['sines first', { numChannels: 64, flipSinToCos: false, downscaleFreqShift: 1 }],
      ['odd width', { numChannels: 7, ...latte }],
      ['odd width, sines first', { numChannels: 33, flipSinToCos: false, downscaleFreqShift: 1 }],
      ['one channel', { numChannels: 1, ...latte }],
      ['two channels', { numChannels: 2, ...latte }],
      [
        'scale 1000',
        { numChannels: 32, flipSinToCos: false, downscaleFreqShift: 0.5, scale: 1000 },
      ],
      ['scale 0', { numChannels: 6, ...latte, scale: 0 }],
      ['scale −0.5', { numChannels: 6, ...latte, scale: -0.5 }],
      ['half = shift: NaN', { numChannels: 4, flipSinToCos: true, downscaleFreqShift: 2 }],
      ['half = shift = 1: NaN', { numChannels: 2, flipSinToCos: false, downscaleFreqShift: 1 }],
      ['negative shift', { numChannels: 12, flipSinToCos: true, downscaleFreqShift: -1 }],
    ] as const
  ).map(([note, options]): Case => ({
    op: 'Timesteps',
    dtype: 'float32',
    note,
    options,
    inputs: { timesteps: { shape: [3], values: [1, 0.125, 71] } },
  })),
  {
    op: 'Timesteps',
    dtype: 'float32',
    note: 'none',
    options: { numChannels: 256, ...latte },
    inputs: { timesteps: { shape: [0] } },
  },
  ...[{}, latte, { maxPeriod: 100, scale: 2 }, { maxPeriod: 1 }].map((options): Case => ({
    op: 'getTimestepEmbedding',
    dtype: 'float32',
    note: JSON.stringify(options),
    options: { embeddingDim: 66, ...options },
    inputs: { timesteps: { shape: [4], values: [0, 1, 250.5, -3] } },
  })),
];

/** The rows of the host's functions, and of Timesteps, whose results have one dtype. */
export const functionCases: readonly Case[] = [...positionTables, ...timesteps];
