/**
 * Reads a password from the terminal without showing it, or from the first line of standard input. Never from the
 * arguments, because every user of the machine can see those.
 */
import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { passwordFault } from '#crds/passwordhash.ts';

/** Asks for a new password twice, because the person does not see what is typed. */
export async function readPassword(kind: 'new' | 'known'): Promise<string> {
  const password = process.stdin.isTTY ? await typedUnseen(kind === 'new') : await firstLine();
  const fault = password.includes('\ufffd') ? 'it is not in UTF-8' : passwordFault(password);
  if (fault !== undefined) throw new Error(`The password cannot be used: ${fault}`);
  return password;
}

async function firstLine(): Promise<string> {
  const [line = ''] = (await text(process.stdin)).split(/\r?\n/);
  return line;
}

async function typedUnseen(twice: boolean): Promise<string> {
  // node:readline echoes what is typed. Its output is therefore thrown away, and the prompts go directly to standard
  // error.
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
  try {
    const password = await typed(lines, 'Password: ');
    if (twice && (await typed(lines, 'The same again: ')) !== password)
      throw new Error('The two passwords are not the same: try again');
    return password;
  } finally {
    lines.close();
  }
}

function typed(lines: Interface, prompt: string): Promise<string> {
  process.stderr.write(prompt);
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      process.stderr.write('\n');
      reject(new Error('No password was typed'));
    };
    lines.once('close', giveUp);
    lines.question('', (line) => {
      lines.off('close', giveUp);
      process.stderr.write('\n');
      resolve(line);
    });
  });
}
