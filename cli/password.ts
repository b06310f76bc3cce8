/**
 * Reads a password: from the terminal without showing it, else the first line of standard input. Never from the
 * arguments, which everybody on the machine can see.
 */
import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { passwordFault } from '#crds/passwordhash.ts';

/** A new one is typed twice, because nobody sees what is typed. */
export async function readPassword(kind: 'new' | 'known'): Promise<string> {
  const password = process.stdin.isTTY ? await typedUnseen(kind === 'new') : await firstLine();
  const fault = passwordFault(password);
  if (fault !== undefined) throw new Error(`The password cannot be used: ${fault}`);
  return password;
}

async function firstLine(): Promise<string> {
  const [line = ''] = (await text(process.stdin)).split(/\r?\n/);
  return line;
}

async function typedUnseen(twice: boolean): Promise<string> {
  // The editor of lines would show what is typed: it writes into nothing, and the prompts go past it.
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
    lines.once('close', () => reject(new Error('No password was typed')));
    lines.question('', (line) => {
      process.stderr.write('\n');
      resolve(line);
    });
  });
}
