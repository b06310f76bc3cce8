/** Who is let in by Reception, and as whom, where the policy changes while a connection waits. */
import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { listenerAt, policyOf } from '#test/kit/relayrig.ts';
import { until } from '#test/kit/wait.ts';
import { describePorts, type ServedPort } from './generation.ts';
import { type Accepted, Reception } from './reception.ts';

const PORT = 25;
const PROXY = 'PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n';

/** One connection, of a proxy, that has come before the first policy is in force. */
async function rig(t: TestContext) {
  let ports: ReadonlyMap<number, ServedPort> | undefined;
  let isReady = false;
  const [tried, admitted]: [Accepted[], Accepted[]] = [[], []];
  const reception = new Reception({
    clock: () => 0,
    log: () => undefined,
    ports: () => ports,
    admit: (accepted) => {
      (isReady ? admitted : tried).push(accepted);
      return isReady;
    },
    countRefusal: () => undefined,
  });
  const held: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    held.push(socket);
    reception.accept(socket, PORT);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  t.after(() => {
    server.close();
    for (const socket of [client, ...held]) socket.destroy();
  });
  client.write(`${PROXY}EHLO`);
  await until('the connection to be accepted', () => held.length === 1);
  const begin = (proxyNetworks: string[], ready = true) => {
    isReady = ready;
    ports = describePorts(policyOf({ listeners: [{ ...listenerAt(PORT), proxyNetworks }] }));
    reception.admitWaiting();
  };
  return { begin, tried, admitted };
}

test('who waits for the first policy is not the proxy, but whom its header names', async (t) => {
  const { begin, admitted } = await rig(t);
  begin(['127.0.0.0/8']);
  await until('the client to be admitted', () => admitted.length === 1);
  assert.deepEqual([admitted[0]?.client, admitted[0]?.early?.toString()], ['192.0.2.7', 'EHLO']);
});

test('where the first policy names no such proxy, who waits is the peer, and its header is left to the session', async (t) => {
  const { begin, admitted } = await rig(t);
  begin(['198.51.100.0/24']);
  assert.deepEqual([admitted[0]?.client, admitted[0]?.early], ['127.0.0.1', undefined]);
});

test('a header is read once, also where who waits for a process meets a policy with other proxies', async (t) => {
  const { begin, tried, admitted } = await rig(t);
  begin(['127.0.0.0/8'], false);
  await until('the header to be read', () => tried.at(-1)?.client === '192.0.2.7');
  begin(['198.51.100.0/24']);
  assert.deepEqual([admitted[0]?.client, admitted[0]?.early?.toString()], ['192.0.2.7', 'EHLO']);
});
