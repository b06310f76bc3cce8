/** `mailrelay explain --state`: what the relay of a state folder adds, running, stopped, or not there at all. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeRunNote } from '#cli/runnote.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { mailrelay } from '#test/kit/relay.ts';

test('explain asks the relay of the state folder that it is given', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-state-'));
  const report = podReport(relayObject());
  const slowed = [{ destination: '127.0.0.1:1', pace: '1/4', message: '450 too fast' }];
  const server = createServer((_, response) =>
    response.end(JSON.stringify({ ...report, queue: { ...report.queue, slowed } })),
  );
  t.after(() => {
    server.close();
    rmSync(dir, { recursive: true });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  writeRunNote(dir, { adminUrl: `http://127.0.0.1:${port}` });
  writeFileSync(join(dir, 'relay.yaml'), storyManifest({ port: 2525, nextHop: 1 }));
  const explain = (state: string) =>
    mailrelay(['explain', 'a@other.example', '-f', 'relay.yaml', '--state', state], dir);
  assert.match((await explain(dir)).stdout, /^slowed +.* gets 1\/4 of its pace: 450 too fast$/m);
  const none = await explain(join(dir, 'none'));
  assert.deepEqual([none.status, none.stderr.includes('There is no state folder')], [1, true]);
  server.close();
  server.closeAllConnections();
  const stopped = await explain(dir);
  assert.deepEqual([stopped.status, stopped.stdout.includes('slowed')], [0, false], stopped.stderr);
});
