/** The version of this project, read from package.json. */
import { readFileSync } from 'node:fs';

export function projectVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

export async function printVersion(): Promise<number> {
  process.stdout.write(`${projectVersion()}\n`);
  return 0;
}
