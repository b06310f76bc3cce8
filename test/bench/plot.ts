/** The medians as an SVG: for each scenario a bar of CPU milliseconds a message for each peer, as a share of the largest. Pure. */
import type { Result } from './measure.ts';
import { groupsOf, spread } from './table.ts';

const [LEFT, WIDTH, ROW, GAP] = [150, 420, 18, 14];
const COLOURS: Readonly<Record<string, string>> = {
  mailrelay: '#2a7ab9',
  postfix: '#8a8a8a',
  haraka: '#c2a14d',
  exim: '#7fb27f',
};

export function plotOf(results: readonly Result[]): string {
  const bars: string[] = [];
  let y = 34;
  for (const scenario of [...new Set(results.map((one) => one.scenario))].sort()) {
    const groups = [...groupsOf(results.filter((one) => one.scenario === scenario)).values()];
    const values = groups.map((runs) => ({
      peer: runs[0]?.peer ?? '',
      ms: spread(runs, 'cpuMsPerMessage')?.median ?? 0,
    }));
    const most = Math.max(...values.map(({ ms }) => ms));
    for (const { peer, ms } of values) {
      const width = ((ms / most) * WIDTH).toFixed(1);
      bars.push(
        `<text x="${LEFT - 8}" y="${y + 13}" text-anchor="end">${scenario} ${peer}</text>`,
        `<rect x="${LEFT}" y="${y}" width="${width}" height="${ROW - 3}" fill="${COLOURS[peer] ?? '#555555'}"/>`,
        `<text x="${LEFT + Number(width) + 6}" y="${y + 13}">${ms.toFixed(2)}</text>`,
      );
      y += ROW;
    }
    y += GAP;
  }
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 70}" height="${y}" font-family="sans-serif" font-size="12">`;
  const title =
    '<text x="12" y="18" font-size="14">CPU milliseconds a message, whole process tree, medians (each scenario to its own scale)</text>';
  return [head, '<rect width="100%" height="100%" fill="#ffffff"/>', title, ...bars, '</svg>', ''].join('\n');
}
