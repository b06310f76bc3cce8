/** Mail of one client of ours and of a stranger, through a relay with address maps: what arrives, and what is answered. */
import assert from 'node:assert/strict';
import { Rig } from './rig.ts';

export const OURS = '127.0.0.2';
export const STRANGER = '127.0.0.3';

export async function rigWith(addresses: Readonly<Record<string, unknown>>): Promise<Rig> {
  return Rig.start({
    listeners: { smtp: {} },
    inbound: {
      clients: { networks: [OURS] },
      acceptDomains: ['y.example'],
      masqueradeDomains: ['m.example'],
    },
    spec: (hop) => ({
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
      addresses,
    }),
  });
}

interface Mail {
  readonly from?: string;
  readonly to: readonly string[];
  readonly fields?: string;
  readonly client?: string;
}

export async function send(
  rig: Rig,
  id: string,
  { from = 'a@x.example', to, fields = '', client = OURS }: Mail,
) {
  const smtp = await rig.client('smtp', client);
  const reply = await smtp.send(from, to, `${fields}X-Test-Id: ${id}\r\n\r\nbody`);
  assert.match(reply, /^250 /);
  return rig.arrived(id);
}

export async function answer(rig: Rig, lines: readonly string[], client = OURS): Promise<string> {
  const smtp = await rig.client('smtp', client);
  let reply = '';
  for (const line of lines) {
    reply = await smtp.command(line);
  }
  return reply;
}
