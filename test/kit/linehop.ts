/** A next hop as a function of lines. For what no server does on purpose: replies that nobody asked for, and early ends. */
import { type AddressInfo, createServer, type Socket } from 'node:net';

export interface LineHop {
  readonly port: number;
  /** Those that were opened, in order. */
  readonly sockets: readonly Socket[];
  readonly lines: readonly string[];
  close(): void;
}

/** `null`: the function has answered itself, or there is no answer. */
export type Heard = (line: string, socket: Socket) => string | null;

/** The answers of a hop that takes everything. */
export function takeAll(line: string): string | null {
  if (line === '') return '220 hop';
  if (/^(EHLO|LHLO)/.test(line)) return '250-hop\r\n250 PIPELINING';
  if (line === 'DATA') return '354 go on';
  if (line === '.') return '250 2.0.0 taken';
  if (line === 'QUIT') return '221 bye';
  return /^(MAIL|RCPT|NOOP)/.test(line) ? '250 ok' : null;
}

/** Asks for the answer to each line, first to the empty line for the greeting. The lines of a message are lines too. */
export async function startLineHop(answer: Heard): Promise<LineHop> {
  const sockets: Socket[] = [];
  const lines: string[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    const say = (line: string) => {
      const said = answer(line, socket);
      if (said !== null && socket.writable) socket.write(`${said}\r\n`);
      return said;
    };
    let isInMessage = false;
    let rest = '';
    say('');
    socket.on('data', (chunk) => {
      const heard = `${rest}${chunk}`.split('\r\n');
      rest = heard.pop() ?? '';
      for (const line of heard) {
        if (isInMessage && line !== '.') continue;
        lines.push(line);
        isInMessage = say(line)?.startsWith('354') === true;
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: (server.address() as AddressInfo).port, sockets, lines, close };
}
