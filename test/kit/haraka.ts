/**
 * A real Haraka from its npm package, with its plugins tls and queue/smtp_forward, and a plugin of ours that stores
 * mail for its domain.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Foreground } from './foreground.ts';
import { type Peer, type PeerOptions, storedMessage } from './peer.ts';

const PACKAGE = new URL('../../node_modules/Haraka/', import.meta.url).pathname;

export async function startHaraka(options: PeerOptions): Promise<Peer> {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-haraka-'));
  const stored = join(dir, 'stored');
  cpSync(join(PACKAGE, 'config'), join(dir, 'config'), { recursive: true });
  for (const name of ['plugins', 'queue', 'stored', 'stored/new']) mkdirSync(join(dir, name));
  for (const [name, text] of Object.entries(files(options, stored))) writeFileSync(join(dir, name), text);
  const server = await Foreground.start({
    name: 'Haraka',
    command: [process.execPath, join(PACKAGE, 'bin/haraka'), '-c', dir],
    port: options.port,
    // Haraka has no setting for the authorities that its client trusts.
    env: { NODE_EXTRA_CA_CERTS: join(dir, 'ca.pem') },
    // At SIGTERM it would wait for its connections.
    signal: 'SIGKILL',
  });
  return {
    message: (id) => storedMessage(stored, id),
    stop: async () => {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function files({ port, domain, pair, relay }: PeerOptions, stored: string): Readonly<Record<string, string>> {
  return {
    'ca.pem': relay.ca,
    'config/me': domain,
    'config/smtp.ini': `listen=127.0.0.1:${port}\nnodes=0\n`,
    'config/plugins': 'tls\nstore\nqueue/smtp_forward\n',
    'config/tls.ini': 'key=tls_key.pem\ncert=tls_cert.pem\n',
    'config/tls_key.pem': pair.key,
    'config/tls_cert.pem': pair.cert,
    'config/smtp_forward.ini': `host=localhost\nport=${relay.port}\nenable_tls=true\n[tls]\nrejectUnauthorized=true\n`,
    'plugins/store.js': `'use strict'
const { createWriteStream } = require('node:fs')
exports.hook_rcpt = (next) => next(OK)
exports.hook_queue = (next, { transaction }) => {
  if (transaction.rcpt_to[0].host !== ${JSON.stringify(domain)}) return next()
  const file = createWriteStream(${JSON.stringify(`${stored}/new/`)} + transaction.uuid)
  file.on('close', () => next(OK))
  transaction.message_stream.pipe(file)
}
`,
  };
}
