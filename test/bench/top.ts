/**
 * The top of CPU profiles as text: for each file of --cpu-prof the functions by their own time, with its share.
 *
 *   NODE_OPTIONS='--cpu-prof --cpu-prof-dir=FOLDER' node test/bench/run.ts --scenarios A --peers mailrelay --rounds 1
 *   node test/bench/top.ts FOLDER [--lines 25]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { lines: { type: 'string', default: '25' } },
});

for (const folder of positionals) {
  for (const name of readdirSync(folder)) {
    const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Profile;
    const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
    const own = new Map<string, number>();
    samples.forEach((id, index) => {
      const key = names.get(id) ?? '?';
      own.set(key, (own.get(key) ?? 0) + (timeDeltas[index] ?? 0));
    });
    const idle = own.get('(idle)') ?? 0;
    own.delete('(idle)');
    const busy = [...own.values()].reduce((sum, us) => sum + us, 0);
    console.log(`\n${name}: busy ${(busy / 1000).toFixed(0)} ms, idle ${(idle / 1000).toFixed(0)} ms`);
    for (const [key, us] of [...own].sort(([, a], [, b]) => b - a).slice(0, Number(values.lines)))
      console.log(`${((100 * us) / busy).toFixed(1).padStart(5)} %  ${key}`);
  }
}

function nameOf({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  const place = url.replace(/^.*\/(?=node_modules\/|relay\/|cli\/|crds\/)/, '');
  return `${functionName || '(anonymous)'}${place ? ` ${place}:${lineNumber + 1}` : ''}`;
}
