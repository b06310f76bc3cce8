/**
 * Opens a spool and enters a small message for each id that it reads, and says what became of it. With `ends` it ends, with
 * no word to anybody, as soon as it hears of a failed sync.
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
const spool = new Spool(stateDir, undefined, 'late');
for await (const id of createInterface(process.stdin)) {
  const entered = spool.enter(id, envelope, { kind: 'inline', bytes: Buffer.alloc(500) });
  await entered.then(
    () => console.log('entered'),
    ({ message }: Error) => console.log(message),
  );
}
