/** A listener task in this process, and clients that are greeted or secured. All of them end with the test file. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after } from 'node:test';
import type { Policy } from '#crds/policyfile.ts';
import { type Intake, openIntake } from '#relay/listener/intake.ts';
import { ListenerTask } from '#relay/listener/task.ts';
import { MessageRate } from '#relay/supervisor/rate.ts';
import { CLOCKS } from '#relay/task/clock.ts';
import { Counters } from '#relay/task/counts.ts';
import { NO_MATERIALS } from '#relay/task/materials.ts';
import type { PairText } from '#relay/task/messages.ts';
import { makePair } from '#test/kit/ca.ts';
import { SILENT } from '#test/kit/hopway.ts';
import { listenerAt, podDirs, policyOf } from '#test/kit/relayrig.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';

interface Serving {
  readonly port: number;
  readonly task: ListenerTask;
  readonly plaintext: string[];
  readonly entered: string[];
  readonly ended: () => number;
  /** The rules of all refusals. */
  readonly refused: string[];
  /** System calls that wrote plain text to clients. */
  readonly writes: () => number;
  close(): void;
}

const dirs = podDirs();
export const pair = await makePair();
const servers: Server[] = [];
const intakes: Intake[] = [];

after(async () => {
  for (const server of servers) server.close();
  for (const intake of intakes) await intake.close();
  dirs.remove();
});

/** A listener task in this process. A server passes sockets to it as the supervisor does. */
export async function serve(
  inbound: Partial<Policy['inbound']>,
  withPair: PairText | null = pair,
  onSocket: (socket: Socket) => void = () => undefined,
): Promise<Serving> {
  const plaintext: string[] = [];
  const entered: string[] = [];
  const refused: string[] = [];
  let ended = 0;
  const policy = policyOf({ listeners: [listenerAt(25)], ...inbound });
  const log = () => undefined;
  const onEntered = (id: string) => entered.push(id);
  const counters = new Counters();
  const intake = openIntake(policy, NO_MATERIALS, dirs.stateDir, {
    log,
    tracer: SILENT,
    counters,
    onEntered,
    onNowhere: () => undefined,
  });
  intakes.push(intake);
  const rates = { client: new MessageRate(), login: new MessageRate(), recipient: new MessageRate() };
  const task = new ListenerTask({
    policy,
    pairs: { host: withPair, bySecret: {} },
    ticketKeys: [],
    materials: NO_MATERIALS,
    take: (stream, arrival) => intake.take(stream, arrival),
    refusalOfMore: (bytes) => intake.refusalOfMore(bytes),
    // No minute turns between the commands of a test.
    countMessage: async (of, who) => rates[of].count(who, 0),
    tracer: SILENT,
    counters,
    log: () => undefined,
    clocks: CLOCKS,
    onPlaintext: (client, _helo, isRefused) => plaintext.push(`${client} ${isRefused ? 'refused' : 'taken'}`),
    onRefused: ({ rule }) => refused.push(rule),
  });
  let writes = 0;
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    onSocket(socket);
    countWrites(socket, () => {
      writes += 1;
    });
    task.receive('smtp', '127.0.0.1', socket, () => {
      ended += 1;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    task,
    plaintext,
    entered,
    ended: () => ended,
    refused,
    writes: () => writes,
    close: () => server.close(),
  };
}

/** Node makes one system call of each call of these two. */
function countWrites(socket: Socket, count: () => void): void {
  const { _write, _writev } = socket;
  socket._write = (...args) => {
    count();
    _write.apply(socket, args);
  };
  socket._writev = (...args) => {
    count();
    _writev?.apply(socket, args);
  };
}

export async function greeted(port: number): Promise<SmtpClient> {
  const talker = await SmtpClient.connect(port);
  assert.match(await talker.reply(), /^220 /);
  return talker;
}

export async function secured(port: number): Promise<SmtpClient> {
  const talker = await greeted(port);
  await talker.command('EHLO client.example');
  await talker.command('STARTTLS');
  await talker.startTls({});
  return talker;
}
