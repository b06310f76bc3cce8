import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { POLICY_FILE_NAME, printPolicy } from '#crds/policyfile.ts';
import { makePair } from '#test/kit/ca.ts';
import { startPodRelay } from '#test/kit/podrelay.ts';
import { freePort } from '#test/kit/ports.ts';
import { listenerAt, mount, podDirs, policyOf } from '#test/kit/relayrig.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { eventually } from '#test/kit/wait.ts';
import { HEADERS, printEntryPath } from '../handover/entry.ts';
import { connectPinned } from '../handover/pin.ts';
import { newQueueId } from '../spool/record.ts';

test('the port for siblings opens when it becomes free, and the log says once why it did not', async (t) => {
  const dirs = podDirs();
  const port = await freePort();
  const taken = createServer().listen(port, '127.0.0.1');
  await once(taken, 'listening');
  const pair = await makePair();
  mount(dirs.certificateDir, { 'tls.crt': pair.cert, 'tls.key': pair.key });
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: printPolicy(policyOf()) });
  const relay = await startPodRelay(dirs, { among: { podName: 'relay-0', port } });
  t.after(async () => {
    taken.close();
    await relay.stop();
    dirs.remove();
  });
  const faults = () =>
    readFileSync(join(dirs.root, 'log'), 'utf8').split('"handover_port_not_open"').length - 1;
  for (let poll = 0; poll < 3; poll++) await relay.reload();
  assert.equal(faults(), 1);
  taken.close();
  await once(taken, 'close');
  await eventually(async () => {
    const sibling = await SmtpClient.connect(port);
    sibling.close();
    return true;
  });
  assert.equal(faults(), 1);
});

test('a relay that stops ends its sessions while a sibling still hands over', async (t) => {
  const dirs = podDirs();
  const [port, siblings] = [await freePort(), await freePort()];
  const pair = await makePair();
  mount(dirs.certificateDir, { 'tls.crt': pair.cert, 'tls.key': pair.key });
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: printPolicy(policyOf({ listeners: [listenerAt(port)] })) });
  const among = { podName: 'relay-0', port: siblings };
  const relay = await startPodRelay(dirs, { among, drainMs: 100 });
  t.after(() => dirs.remove());
  const sibling = await connectPinned(pair, { host: '127.0.0.1', port: siblings });
  const sizes = `${HEADERS.recordBytes}: 9\r\n${HEADERS.bodyBytes}: 9\r\n`;
  const path = printEntryPath(newQueueId(Date.now()));
  sibling.write(
    `PUT ${path} HTTP/1.1\r\nhost: a\r\n${sizes}transfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n`,
  );
  assert.match(String((await once(sibling, 'data'))[0]), /^HTTP\/1.1 100 /);
  const client = await SmtpClient.connect(port);
  await client.reply();
  const stopped = relay.stop();
  assert.match(await client.reply(), /^421 /);
  assert.equal(sibling.closed, false);
  sibling.destroy();
  client.close();
  await stopped;
});
