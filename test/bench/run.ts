/**
 * `make bench`: our relay and its peers under the same load, in turn, several rounds; then the stories of our relay alone.
 * Prints tables of medians and ranges; --out FOLDER also writes every run as JSON, the tables, and a plot; --help tells
 * the options.
 *
 * A to F and P are in scenarios.ts, G to I and R (at rest) in stories.ts, K are calibrations, S syncs as strace sees them, L in growth.ts.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeAuthority } from '#test/kit/ca.ts';
import { groupCommitCurve, straightIntoSink } from './calibrate.ts';
import { growth } from './growth.ts';
import { measure, type Result } from './measure.ts';
import type { Peer } from './peer.ts';
import { discover } from './peers/discover.ts';
import { exim } from './peers/exim.ts';
import { features } from './peers/features.ts';
import { haraka } from './peers/haraka.ts';
import { postfix } from './peers/postfix.ts';
import { relay, relayOf } from './peers/relay.ts';
import { plotOf } from './plot.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { atRest, changesUnderLoad, type Figures, longQueue, nextHopAway } from './stories.ts';
import { syncsOf } from './syncs.ts';
import { ratiosOf, tableOf } from './table.ts';

const USAGE = `usage: make bench BENCH="[--scenarios ABCDEFPGHIRKSL] [--rounds 5]
                          [--peers mailrelay,before,discover,features,process-per-core,postfix,haraka,exim]
                          [--length 1] [--out FOLDER] [--down 60] [--before CHECKOUT]"

  --scenarios  A to F and P load with different messages (test/bench/scenarios.ts), G the next hop away, H changes under load,
               I a long queue, R at rest, K calibrations, S syncs as strace sees them,
               L more of a core and more pods
  --peers      process-per-core is our relay with a listener process for each core, features our relay with a map of
               100,000 recipients, a history and a webhook, discover our relay with DANE and MTA-STS
  --rounds     of A to F and P; the peers take turns in each
  --length     share of the messages of a full run, such as 0.1
  --down       seconds that the next hop is away in G
  --before     a checkout with an earlier state of our relay, as the peer "before"
  --out        writes every run as JSON, the tables, and a plot there too
`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    scenarios: { type: 'string', default: 'ABCDEFPGHIRKSL' },
    peers: { type: 'string', default: 'mailrelay,before,postfix,haraka' },
    rounds: { type: 'string', default: '5' },
    length: { type: 'string', default: '1' },
    down: { type: 'string', default: '60' },
    out: { type: 'string' },
    before: { type: 'string' },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const earlier = values.before === undefined ? [] : [relayOf('before', { checkout: values.before })];
const perCore = relayOf('process-per-core', { processes: availableParallelism() });
const peers = [relay, discover, features, perCore, ...earlier, postfix, haraka, exim].filter(({ name }) =>
  values.peers.split(',').includes(name),
);
const isWanted = (letter: string) => values.scenarios.includes(letter);
const [A] = SCENARIOS as readonly [Scenario];
const told: string[] = [];

function tell(text: string): void {
  console.log(text);
  told.push(text);
}

async function compare(scenario: Scenario, results: Result[]): Promise<void> {
  // Only we know cut-through, and it keeps no history.
  const able: readonly Peer[] = scenario.cutThrough
    ? peers.filter((peer) => ![postfix, haraka, exim, discover, features].includes(peer))
    : peers;
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const peer of able) {
      const result = await measure(peer, scenario, pair, Number(values.length));
      results.push(result);
      console.log(JSON.stringify(result));
    }
  }
}

async function tellStory(letter: string, title: string, story: () => Promise<Figures>): Promise<void> {
  if (!isWanted(letter)) return;
  const rows = Object.entries(await story()).map(([name, value]) => `| ${name} | ${value} |`);
  tell([`\n${letter}: ${title}\n`, '| | |', '| --- | --- |', ...rows].join('\n'));
}

tell(`${availableParallelism()} cores (${cpus()[0]?.model.trim()}), Linux ${release().split('-')[0]}`);
for (const peer of peers) {
  const problem = peer.problem();
  if (problem) throw new Error(problem);
  tell(peer.version());
}
const pair = await (await makeAuthority()).issue(['relay.bench.example', 'localhost']);
if (isWanted('K')) {
  tell(`load straight into the sink, A: ${await straightIntoSink(A, 3)}`);
  tell(`10 KB appended and synced, so many to a sync: ${groupCommitCurve([1, 5, 20, 50, 100])}`);
}
const results: Result[] = [];
for (const scenario of SCENARIOS) if (isWanted(scenario.letter)) await compare(scenario, results);
if (results.length > 0) tell(`\n${tableOf(results)}\n\n${ratiosOf(results, relay.name)}`);
if (isWanted('S')) for (const peer of peers) tell(`${peer.name}: ${await syncsOf(peer, A, pair)}`);
await tellStory('G', `the next hop is away for ${values.down} s`, () => nextHopAway(Number(values.down)));
await tellStory('H', 'a renewal every second and a policy change every ten, under A', () =>
  changesUnderLoad(31),
);
await tellStory('I', 'a long queue', () => longQueue(50_000));
await tellStory('L', 'more of a core, and more pods, under A', () => growth(A, pair, 10));
await tellStory('R', 'at rest, one listener process', atRest);
if (values.out !== undefined) {
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(values.out, 'tables.md'), `${told.join('\n')}\n`);
  if (results.length > 0) writeFileSync(join(values.out, 'cpu.svg'), plotOf(results));
}
