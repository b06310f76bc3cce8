/**
 * A next hop that takes mail only from clients with a certificate of its authority, and refuses others in the handshake by
 * a TLS alert, which a server of Node does not send. Its TLS is that of Python. It stores each message.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pair } from './ca.ts';
import { Foreground } from './foreground.ts';
import { type Peer, storedMessage } from './peer.ts';

const PROGRAM = `
import os, socket, ssl, sys, threading

port, folder = int(sys.argv[1]), sys.argv[2]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + '/pair.pem')
context.load_verify_locations(folder + '/clients.pem')
context.verify_mode = ssl.CERT_REQUIRED

def serve(connection):
    file, isSecure = connection.makefile('rwb', 0), False
    say = lambda line: file.write(line + b'\\r\\n')
    say(b'220 strict.example')
    while line := file.readline():
        verb = line[:4].upper()
        if verb == b'STAR':
            say(b'220 go ahead')
            connection = context.wrap_socket(connection, server_side=True)
            file, isSecure = connection.makefile('rwb', 0), True
        elif verb == b'EHLO':
            say(b'250 strict.example' if isSecure else b'250-strict.example\\r\\n250 STARTTLS')
        elif verb == b'DATA':
            say(b'354 go on')
            text = b''
            while (part := file.readline()) not in (b'.\\r\\n', b''):
                text += part
            name = str(len(os.listdir(folder + '/new')))
            with open(folder + '/new/' + name, 'wb') as stored:
                stored.write(text)
            say(b'250 stored')
        elif verb == b'QUIT':
            say(b'221 bye')
            return connection.close()
        else:
            say(b'250 fine')

def answer(connection):
    try:
        serve(connection)
    except OSError:
        pass
    finally:
        connection.close()

server = socket.create_server(('127.0.0.1', port))
while True:
    connection, _ = server.accept()
    threading.Thread(target=answer, args=(connection,), daemon=True).start()
`;

interface StrictPeerOptions {
  readonly port: number;
  readonly pair: Pair;
  /** The authority of client certificates. */
  readonly authority: string;
}

export async function startStrictPeer({ port, pair, authority }: StrictPeerOptions): Promise<Peer> {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-strict-'));
  mkdirSync(join(dir, 'new'));
  writeFileSync(join(dir, 'pair.pem'), `${pair.key}${pair.cert}`);
  writeFileSync(join(dir, 'clients.pem'), authority);
  const command = ['python3', '-c', PROGRAM, String(port), dir];
  const server = await Foreground.start({ name: 'the strict peer', command, port });
  return {
    message: (id) => storedMessage(dir, id),
    stop: async () => {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
