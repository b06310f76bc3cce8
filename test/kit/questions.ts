/** Servers that get DNS questions by UDP and answer as a test says, and records of one name. They end with the tests of the file. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { after } from 'node:test';
import packet from 'dns-packet';

export const ADDRESS: packet.Answer = { name: 'a.example', type: 'A', ttl: 60, data: '192.0.2.1' };
export const SIGNATURE: packet.Answer = {
  name: 'a.example',
  type: 'RRSIG',
  ttl: 60,
  data: {
    typeCovered: 'A',
    algorithm: 13,
    labels: 2,
    originalTTL: 60,
    expiration: 1_700_000_000,
    inception: 1_600_000_000,
    keyTag: 7,
    signersName: 'example',
    signature: Buffer.alloc(64),
  },
};

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

/** `answer` gives the bytes to send. Undefined: nothing is said to this question, the `count`th that the server got. */
export async function startServer(
  answer: (question: packet.Packet, count: number) => Buffer | undefined,
): Promise<{ address: string; port: number }> {
  const socket = createSocket('udp4');
  let count = 0;
  socket.on('message', (message, { port, address }) => {
    const bytes = answer(packet.decode(message), ++count);
    if (bytes) socket.send(bytes, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  ends.push(() => void socket.close());
  return { address: '127.0.0.1', port: socket.address().port };
}

/** A response to the question. */
export function say({ id = 0, questions = [] }: packet.Packet, changes: packet.Packet = {}): Buffer {
  return packet.encode({ type: 'response', id, questions, ...changes });
}
