/**
 * The process of the policy host. The first connection starts it, and it ends after some time without connections, so it
 * costs nothing at rest. It has a process of its own, because strangers speak TLS and HTTP to it: a fault there ends
 * neither the relay nor a session of SMTP.
 */
import type { Socket } from 'node:net';
import { Task } from '../task/bootstrap.ts';
import { Counters } from '../task/counts.ts';
import type { FromPolicyHost, ServedPolicy, ToPolicyHost } from '../task/messages.ts';
import { PolicyServer } from './server.ts';

const LOOK_MS = 1_000;
const IDLE_LOOKS = 30;

/** This process never touches the disk. */
const task = new Task<ToPolicyHost, FromPolicyHost>({
  oldestUnanswered: () => undefined,
  whenProgress: () => undefined,
});
const counters = new Counters();
let server: PolicyServer | undefined;
let idleLooks = 0;

task.serve({
  configure: ({ served }) => configure(served),
  serve: ({ served }) => server?.use(served),
  connection: (_message, socket) => receive(socket),
  drain: leave,
});

function configure(served: ServedPolicy): void {
  server = new PolicyServer(served, (result) => counters.add('policy_requests', result));
  setInterval(look, LOOK_MS);
}

function receive(socket: Socket | undefined): void {
  idleLooks = 0;
  if (socket) server?.receive(socket);
}

function look(): void {
  tellCounts();
  idleLooks = server?.connections === 0 ? idleLooks + 1 : 0;
  if (idleLooks >= IDLE_LOOKS) leave();
}

function tellCounts(): void {
  const counted = counters.take();
  if (counted) task.tell({ kind: 'counts', ...counted });
}

function leave(): void {
  void task.leave(async () => {
    server?.end();
    tellCounts();
  });
}
