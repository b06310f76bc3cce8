/** Sends the requests of `mailrelay queue` to a relay over the socket in its state folder. */
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { CONTROL_SOCKET } from '#crds/wellknown.ts';
import type { Done, QueueAction, QueueEntry } from '#relay/queue/tools.ts';

/** A relay, by the folder of its socket. */
interface HasQueue {
  readonly stateDir: string;
}

export interface Said {
  readonly status: number;
  readonly body: string;
}

export async function askQueue(relay: HasQueue, method: string, path: string, body = ''): Promise<Said> {
  const socketPath = join(relay.stateDir, CONTROL_SOCKET);
  const { promise, resolve, reject } = Promise.withResolvers<Said>();
  const asked = request({ socketPath, method, path }, (response) => {
    text(response).then((said) => resolve({ status: response.statusCode ?? 0, body: said }), reject);
  });
  asked.once('error', reject);
  asked.end(body);
  return promise;
}

/** Every queued message, the oldest first. */
export async function listQueue(relay: HasQueue): Promise<QueueEntry[]> {
  const { body } = await askQueue(relay, 'GET', '/queue');
  return body
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as QueueEntry);
}

/** Acts on queued messages; the results by id. */
export async function doToQueue(
  relay: HasQueue,
  action: QueueAction,
  ...ids: string[]
): Promise<readonly Done[]> {
  const { status, body } = await askQueue(relay, 'POST', `/${action}`, JSON.stringify({ ids }));
  if (status !== 200) throw new Error(`${action} was answered ${status} ${body}`);
  return JSON.parse(body) as Done[];
}
