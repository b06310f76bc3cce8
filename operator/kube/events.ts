/**
 * Writes events.k8s.io/v1 events about a MailRelay. An event that cannot be written is logged and dropped, because it
 * must not hold up the reconciling.
 */
import { randomBytes } from 'node:crypto';
import { cutBytes } from '#crds/cut.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { API_VERSION, FIELD_MANAGER, KIND } from '#crds/wellknown.ts';
import type { Client } from './client.ts';
import { apiPath } from './kinds.ts';

const EVENT = { kind: 'Event', apiVersion: 'events.k8s.io/v1', plural: 'events' };
/** The API server refuses longer notes. It counts bytes. */
const NOTE_BYTES = 1024;

export interface RelayEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}

/** `now` is by the clock of the API server, as the times of the status are. */
export async function writeEvent(
  client: Pick<Client, 'request'>,
  { identity, now }: { readonly identity: string; readonly now: number },
  { metadata }: MailRelay,
  { type, reason, note }: RelayEvent,
): Promise<void> {
  const { name, namespace, uid, resourceVersion } = metadata;
  await client.request({
    method: 'POST',
    path: apiPath(EVENT, namespace),
    body: {
      apiVersion: EVENT.apiVersion,
      kind: EVENT.kind,
      metadata: { name: `${name}.${now.toString(16)}${randomBytes(3).toString('hex')}`, namespace },
      eventTime: new Date(now).toISOString().replace('Z', '000Z'),
      reportingController: FIELD_MANAGER,
      reportingInstance: identity,
      action: 'Reconcile',
      type,
      reason,
      note: cutBytes(note, NOTE_BYTES),
      regarding: { apiVersion: API_VERSION, kind: KIND, name, namespace, uid, resourceVersion },
    },
  });
}
