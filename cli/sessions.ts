/** `mailrelay sessions`: the open sessions of a running relay. They are collected when this asks. */
import { print } from './output.ts';
import { askSessions, findEndpoint, type NamedEndpoint } from './relaystatus.ts';
import { describeSessions } from './sessionstext.ts';
import type { Format } from './verb.ts';

interface SessionsOptions extends NamedEndpoint {
  readonly output: Format;
}

export async function sessions({ output, ...named }: SessionsOptions): Promise<number> {
  const found = await askSessions(findEndpoint(named));
  await print(output, found, () => describeSessions(found, output === 'wide', Date.now()));
  return 0;
}
