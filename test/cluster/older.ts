/**
 * An older version of the project, for upgrades and back: the checkout under another version number, whose operator
 * writes no scale file and whose relay reads none, as it was before there were any.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const OLDER_VERSION = '0.0.9';

const ROOT = new URL('../../', import.meta.url).pathname;
const PARTS = ['crds', 'relay', 'operator', 'cli', 'package.json', 'package-lock.json'];

/** Calls `use` with the folder of its sources, and removes it. */
export function withOlderSources<T>(use: (sources: string) => T): T {
  const sources = mkdtempSync(join(tmpdir(), 'mailrelay-older-'));
  try {
    for (const part of PARTS) cpSync(join(ROOT, part), join(sources, part), { recursive: true });
    change(join(sources, 'cli/version.ts'), /return \(JSON[^;]*;/, `return text && '${OLDER_VERSION}';`);
    change(join(sources, 'crds/scalefile.ts'), /`scale\.v[^`]*`/, "'unheard-of.json'");
    change(join(sources, 'relay/supervisor/status.ts'), /^ *evacuation: withOrder\(known\),\n/m, '');
    return use(sources);
  } finally {
    rmSync(sources, { recursive: true });
  }
}

function change(path: string, what: RegExp, by: string): void {
  const text = readFileSync(path, 'utf8');
  if (!what.test(text)) throw new Error(`${path} has nothing like ${what}: correct test/cluster/older.ts`);
  writeFileSync(path, text.replace(what, by));
}
