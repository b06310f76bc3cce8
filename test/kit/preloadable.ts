/** A library in C that a relay preloads, and the file that makes it act while it is there. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `program`: the name of a file in test/crash/programs. The caller removes `dir`. */
export function preloadable(program: string): { dir: string; library: string; flag: string } {
  const dir = mkdtempSync(join(tmpdir(), `${program}-`));
  const library = join(dir, `${program}.so`);
  const source = new URL(`../crash/programs/${program}.c`, import.meta.url).pathname;
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-o', library, source]);
  return { dir, library, flag: join(dir, 'flag') };
}
