/**
 * A part of a soak test: runs it at full length, shows its progress, and writes its results and the machine into a
 * report.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

const REPORTS = new URL('../../docs/reports/', import.meta.url);
/** The lines for a reader: results, messages of the stories, and tables. */
const TOLD = /^\s*(✔|✖|ℹ) (?!suites|cancelled|skipped|todo)|^\|/;

export interface Part {
  readonly title: string;
  readonly status: number;
  readonly lines: readonly string[];
}

export async function runPart(title: string, args: readonly string[]): Promise<Part> {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, MAILRELAY_SOAK: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
    process.stdout.write(chunk);
  });
  const status = await new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
  return { title, status, lines: text.split('\n').filter((line) => TOLD.test(line)) };
}

export function machine(): string {
  return `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release().split('-')[0]}, Node ${process.version}`;
}

export function today(): string {
  return new Date().toISOString().slice(0, 10);
}

export function writeReport(name: string, heading: string, verdict: string, parts: readonly Part[]): void {
  const texts = parts.map(({ title, lines }) => `## ${title}\n\n\`\`\`\n${lines.join('\n')}\n\`\`\`\n`);
  mkdirSync(REPORTS, { recursive: true });
  writeFileSync(new URL(`${name}.md`, REPORTS), `# ${heading}\n\n${verdict}\n\n${texts.join('\n')}`);
}
