import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wayTo } from '#test/kit/hopway.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import type { HopWay } from './attempt.ts';
import type { Session } from './connect.ts';
import { IdleConnections } from './idleconnections.ts';

const session = (broken = false) => ({ broken, connection: { quit: () => undefined } }) as unknown as Session;
const way = (host: string): HopWay => wayTo(hopTo(25, { host }));

test('nothing is left of a host whose connections were taken, broke, or ended', () => {
  const idle = new IdleConnections();
  const [taken, broken, ended] = ['a.example', 'b.example', 'c.example'].map(way) as [HopWay, HopWay, HopWay];
  const first = session();
  idle.keep(taken, first);
  idle.keep(taken, session());
  assert.notEqual(idle.take(taken, false), first);
  assert.equal(idle.ways, 1);
  assert.equal(idle.take(taken, false), first);
  assert.equal(idle.ways, 0);
  idle.keep(broken, session(true));
  assert.equal(idle.take(broken, false), undefined);
  idle.keep(ended, session());
  idle.end(() => true);
  assert.equal(idle.take(ended, false), undefined);
  assert.equal(idle.ways, 0);
});

test('a connection that broke gives way to an older one', () => {
  const idle = new IdleConnections();
  const one = way('a.example');
  const good = session();
  for (const kept of [good, session(true), session(true)]) idle.keep(one, kept);
  assert.equal(idle.take(one, false), good);
  assert.equal(idle.ways, 0);
});
