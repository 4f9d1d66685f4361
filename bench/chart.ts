import { writeFileSync } from 'node:fs';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { bestOf } from './marks.js';
import { formatFigure, referenceRow, times, type Report } from './report.js';
import type { CaseResult } from './types.js';

interface Bar {
  case: string;
  who: string;
  milliseconds: number;
  low: number;
  high: number;
  text: string;
}

/** The product's first row in each precision that peers have, and each peer's best. */
function barsOf(results: CaseResult[]): Bar[] {
  return results.flatMap((result) => {
    const names = new Set(result.rows.filter(({ side }) => side === 'peer').map((r) => r.name));
    const own = referenceRow(result);
    const half = [...names].some((name) => name.endsWith('bfloat16'))
      ? result.rows.find(({ side, dtype }) => side === 'product' && dtype === 'bfloat16')
      : undefined;
    const rows = [own, ...[...names].map((name) => bestOf(result, name)!)];
    if (half !== undefined) rows.push({ ...half, name: `${half.name} bfloat16` });
    return rows.map((row) => ({
      case: result.title,
      who: row.name,
      milliseconds: row.median / 1e6,
      low: row.min / 1e6,
      high: row.max / 1e6,
      text:
        formatFigure(row.median, 'ns') +
        (row === own ? '' : `  (${times(row.median / own.median)})`),
    }));
  });
}

function specOf(bars: Bar[]): TopLevelSpec {
  const cases = [...new Set(bars.map((bar) => bar.case))];
  const who = [...new Set(bars.map((bar) => bar.who))];
  const y = { field: 'who', type: 'nominal', sort: who, title: null } as const;
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    title: {
      text: 'Time of one call, median and range (logarithmic; less is better)',
      anchor: 'start',
      fontSize: 15,
    },
    data: { values: bars as unknown as object[] },
    facet: {
      row: {
        field: 'case',
        sort: cases,
        title: null,
        header: {
          labelAngle: 0,
          labelOrient: 'top',
          labelAnchor: 'start',
          labelFontWeight: 'bold',
        },
      },
    },
    spacing: 12,
    resolve: { scale: { y: 'independent' } },
    spec: {
      width: 620,
      height: { step: 18 },
      encoding: { y },
      layer: [
        {
          mark: { type: 'rule', strokeWidth: 2, color: '#b8b8b8' },
          encoding: {
            x: {
              field: 'low',
              type: 'quantitative',
              scale: { type: 'log' },
              title: 'milliseconds',
            },
            x2: { field: 'high' },
          },
        },
        {
          mark: { type: 'point', filled: true, size: 110, opacity: 1 },
          encoding: {
            x: { field: 'milliseconds', type: 'quantitative' },
            color: {
              condition: {
                test: "slice(datum.who, 0, 16) === 'latte-embeddings'",
                value: '#c2410c',
              },
              value: '#4b6a8a',
            },
          },
        },
        {
          mark: { type: 'text', align: 'left', dx: 9, dy: -8, fontSize: 10 },
          encoding: {
            x: { field: 'milliseconds', type: 'quantitative' },
            text: { field: 'text' },
          },
        },
      ],
    },
  };
}

/** Product and peers side by side, as SVG. */
export async function writeChart(path: string, { results, machine }: Report): Promise<void> {
  const shown = results.filter(
    ({ unit, group, rows, threads }) =>
      unit === 'ns' &&
      threads === machine.cores &&
      group !== 'Growth' &&
      group !== 'Other patches' &&
      rows.some(({ side }) => side === 'peer'),
  );
  if (shown.length === 0) throw new Error('no case of this run has a peer to draw');
  const { spec } = compile(specOf(barsOf(shown)), {
    // Vega warns that the panels share their axis, which is intended.
    logger: vega.logger(vega.Error),
  });
  const view = new vega.View(vega.parse(spec), { renderer: 'none' });
  writeFileSync(path, `${await view.toSVG()}\n`);
  view.finalize();
}
