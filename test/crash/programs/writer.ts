/**
 * Opens a spool and enters a message for each id that it reads, of 500 bytes or as many as the line says, and says what
 * became of it. With `ends` it ends, with no word to anybody, as soon as it hears of a failed sync.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { createInterface } from 'node:readline';

const [stateDir = '', how] = process.argv.slice(2);
const envelope = {
  from: 'me@example.com',
  recipients: [{ address: 'you@example.net', state: 'queued' } as const],
  receivedAt: 1,
  smtpUtf8: false,
  eightBit: false,
};

function endOnError(): void {
  const { fdatasync } = fs;
  const ending = (file: number, done: (error: Error | null) => void) =>
    fdatasync(file, (error) => (error ? process.kill(process.pid, 'SIGKILL') : done(null)));
  Object.assign(fs, { fdatasync: ending });
  syncBuiltinESMExports();
}

if (how === 'ends') endOnError();
const { Spool } = await import('#relay/spool/spool.ts');
const spool = new Spool(stateDir, undefined, 'late', { isStart: how === 'starts' });
for await (const line of createInterface(process.stdin)) {
  const [id = '', bytes = '500'] = line.split(' ');
  const entered = spool.enter(id, envelope, { kind: 'inline', bytes: Buffer.alloc(Number(bytes)) });
  await entered.then(
    () => console.log('entered'),
    ({ message }: Error) => console.log(message),
  );
}
