/** A real aiosmtpd, which takes mail only under STARTTLS and stores it. Its TLS is that of Python. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pair } from './ca.ts';
import { unpacked } from './debian.ts';
import { Foreground } from './foreground.ts';
import { type Peer, storedMessage } from './peer.ts';

/** Has its own handler, because the Mailbox handler of aiosmtpd adds header fields. */
const PROGRAM = `
import os, signal, ssl, sys
from aiosmtpd.controller import Controller

port, folder = int(sys.argv[1]), sys.argv[2]

class Store:
    async def handle_DATA(self, server, session, envelope):
        name = str(len(os.listdir(folder + '/new')))
        with open(folder + '/tmp-' + name, 'wb') as file:
            file.write(envelope.original_content)
        os.rename(folder + '/tmp-' + name, folder + '/new/' + name)
        return '250 2.0.0 stored'

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(folder + '/pair.pem')
Controller(Store(), hostname='127.0.0.1', port=port, tls_context=context, require_starttls=True).start()
signal.pause()
`;

export async function startAiosmtpd({ port, pair }: { port: number; pair: Pair }): Promise<Peer> {
  const packages = unpacked('python3-aiosmtpd', ['python3-attr', 'python3-public']);
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-aiosmtpd-'));
  mkdirSync(join(dir, 'new'));
  writeFileSync(join(dir, 'pair.pem'), `${pair.key}${pair.cert}`);
  const server = await Foreground.start({
    name: 'aiosmtpd',
    command: ['python3', '-c', PROGRAM, String(port), dir],
    port,
    env: { PYTHONPATH: join(packages, 'usr/lib/python3/dist-packages') },
  });
  return {
    message: (id) => storedMessage(dir, id),
    stop: async () => {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
