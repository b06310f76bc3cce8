/**
 * `make bench`: our relay and its peers under the same load, in turn, several rounds. Prints a table of medians and
 * ranges; with --out FOLDER also writes every run as JSON.
 *
 *   run.ts [--scenarios ABCDEF] [--peers mailrelay,postfix,haraka] [--rounds 5] [--seconds 8] [--out FOLDER]
 *          [--before CHECKOUT]    an earlier state of our relay, as the peer "before"
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeAuthority } from '#test/kit/ca.ts';
import { measure, type Result } from './measure.ts';
import type { Peer } from './peer.ts';
import { haraka } from './peers/haraka.ts';
import { postfix } from './peers/postfix.ts';
import { relay, relayOf } from './peers/relay.ts';
import { SCENARIOS } from './scenarios.ts';
import { ratiosOf, tableOf } from './table.ts';

const PEERS: Peer[] = [relay, postfix, haraka];

const { values } = parseArgs({
  options: {
    scenarios: { type: 'string', default: 'ABCDEF' },
    peers: { type: 'string', default: 'mailrelay,before,postfix,haraka' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '8' },
    out: { type: 'string' },
    before: { type: 'string' },
  },
});

if (values.before !== undefined) PEERS.push(relayOf('before', values.before));

const peers = PEERS.filter(({ name }) => values.peers.split(',').includes(name));
const scenarios = SCENARIOS.filter(({ letter }) => values.scenarios.includes(letter));
for (const peer of peers) {
  const problem = peer.problem();
  if (problem) throw new Error(problem);
  console.log(peer.version());
}

const pair = await (await makeAuthority()).issue(['relay.bench.example', 'localhost']);
const results: Result[] = [];
for (const scenario of scenarios) {
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const peer of peers) {
      // Only we know it.
      if (scenario.cutThrough && peer !== relay) continue;
      const result = await measure(peer, scenario, pair, Number(values.seconds));
      results.push(result);
      console.log(JSON.stringify(result));
    }
  }
}
console.log(`\n${tableOf(results)}\n\n${ratiosOf(results, relay.name)}`);
if (values.out !== undefined) {
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
}
