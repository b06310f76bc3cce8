/** What it costs to look up DANE and MTA-STS of many domains, in a network of its own (domains.story.ts). */
import assert from 'node:assert/strict';
import { cpus } from 'node:os';
import { test } from 'node:test';
import { tellInNetwork } from '../delivery/network.ts';

test('many domains, each looked up once', { timeout: 600_000 }, async (context) => {
  const told = await tellInNetwork(new URL('domains.story.ts', import.meta.url), { withinMs: 590_000 });
  context.diagnostic(cpus()[0]?.model ?? 'an unknown processor');
  assert.match(told, /tests 1\b/);
  for (const [line] of told.matchAll(/^ℹ .*MiB.*$/gm)) context.diagnostic(line.slice(2));
});
