/**
 * Writes package.json and package-lock.json into the named folder as cyclonedx-npm wants them. It tells the hash of a package
 * only beside the address of the package, and our lock file has no addresses, because it holds for every mirror of the registry.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = new URL('../', import.meta.url).pathname;
const REGISTRY = 'https://registry.npmjs.org';

interface LockedPackage {
  /** Where it is installed under another name. */
  readonly name?: string;
  readonly version: string;
}

/** With the address that the registry gives to each package. */
export function addAddresses(packages: Readonly<Record<string, LockedPackage>>) {
  const entries = Object.entries(packages).map(([path, one]) => {
    const name = one.name ?? path.split('node_modules/').at(-1) ?? '';
    const file = `${name.split('/').at(-1)}-${one.version}.tgz`;
    // The first entry is this project.
    return [path, path === '' ? one : { ...one, resolved: `${REGISTRY}/${name}/-/${file}` }];
  });
  return Object.fromEntries(entries);
}

function writeManifests(folder: string): void {
  const read = (name: string) => JSON.parse(readFileSync(join(ROOT, name), 'utf8'));
  const lock = read('package-lock.json');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify(read('package.json')));
  writeFileSync(
    join(folder, 'package-lock.json'),
    JSON.stringify({ ...lock, packages: addAddresses(lock.packages) }),
  );
}

if (import.meta.main) writeManifests(process.argv[2] ?? '.state/sbom');
