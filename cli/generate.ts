/**
 * Writes the man page and the page of the documentation from the tree of verbs. With `--check` it writes nothing, names
 * each stale file and exits with 1.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { makeCommandPage } from './commandpage.ts';
import { readTree } from './commandtree.ts';
import { makeManPage } from './manpage.ts';
import { buildProgram } from './program.ts';
import { projectVersion } from './version.ts';

async function main(check: boolean): Promise<number> {
  const tree = await readTree(await buildProgram());
  const files = {
    'docs/mailrelay.1': makeManPage(tree, projectVersion()),
    'docs/command.md': makeCommandPage(tree),
  };
  const stale = Object.entries(files).filter(([path, text]) => readText(path) !== text);
  for (const [path, text] of stale) {
    if (check) process.stderr.write(`${path} is stale: run "make generate"\n`);
    else writeFileSync(urlOf(path), text);
  }
  return check && stale.length > 0 ? 1 : 0;
}

const urlOf = (path: string) => new URL(`../${path}`, import.meta.url);

function readText(path: string): string | undefined {
  try {
    return readFileSync(urlOf(path), 'utf8');
  } catch {
    return undefined;
  }
}

process.exitCode = await main(process.argv.includes('--check'));
