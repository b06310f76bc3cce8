/** Holds import specifiers against the rooms. Pure: files come in as texts, so that the law itself can be tested. */
import { join, normalize } from 'node:path';
import { DOORS, ROOMS, type Room } from './rooms.ts';

export interface Source {
  /** From the top of the project. */
  readonly path: string;
  readonly text: string;
}

const IMPORT =
  /^\s*(?:import|export)\b[^'"`;]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;
const IMPURE = [
  [/\bDate\.now\(\)|\bnew Date\(\s*\)/, 'the clock'],
  [/\bMath\.random\(|\brandomBytes\(|\brandomUUID\(/, 'randomness'],
  [/\bprocess\.(env|argv|exit|stdout|stderr)\b/, 'the process'],
  [/\bsetTimeout\(|\bsetInterval\(/, 'timers'],
] as const;
const LINES = 320;
const SHAPELESS = /(^|\/)(utils?|common|lib|types|helpers)(\/|\.ts$)/;

export function importsOf({ text }: Source): string[] {
  return [...text.matchAll(IMPORT)].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? '');
}

function roomOf(path: string): Room | undefined {
  return ROOMS.find(({ files }) => files.test(path));
}

/** Every breach of the law, as sentences. */
export function breaches(sources: readonly Source[]): string[] {
  return [...sources.flatMap(breachesOf), ...cycles(sources)];
}

function breachesOf(source: Source): string[] {
  const { path, text } = source;
  const room = roomOf(path);
  if (!room) return [`${path} is in no room: give it one in test/arch/rooms.ts`];
  const found = importsOf(source).flatMap((specifier) => breachOfImport(path, room, specifier));
  if (SHAPELESS.test(path)) found.push(`${path} is named after nothing: name it after what it owns`);
  const lines = text.split('\n').length;
  if (lines > LINES && room.name !== 'tests')
    found.push(`${path} has ${lines} lines: more than ${LINES} are more than one subject`);
  if (!/^(#!.*\n)?\/\*\*/.test(text) && !path.endsWith('.test.ts'))
    found.push(`${path} has no head that says what it owns`);
  for (const [pattern, what] of room.pure ? IMPURE : []) {
    if (pattern.test(text)) found.push(`${path} is pure and uses ${what}: let it come in as an argument`);
  }
  return found;
}

function breachOfImport(path: string, room: Room, specifier: string): string[] {
  const target = targetOf(path, specifier);
  if (target === undefined) {
    const name = specifier.startsWith('@')
      ? specifier.split('/').slice(0, 2).join('/')
      : (specifier.split('/')[0] ?? '');
    const allowed = room.packages.some(
      (known) => known === name || known === '*' || (known === 'node:*' && name.startsWith('node:')),
    );
    return allowed ? [] : [`${path} imports ${name}: not in "${room.name}" (${room.why})`];
  }
  const other = roomOf(target);
  if (!other || other === room) return [];
  if (!room.rooms.includes(other.name))
    return [`${path} imports ${target}: "${room.name}" may not see "${other.name}" (${room.why})`];
  const crosses = room.name === 'cli' && !target.startsWith('crds/');
  return crosses && !DOORS.includes(target)
    ? [`${path} imports ${target}: only the doors of a half (${room.why})`]
    : [];
}

/** The file that a specifier names, or undefined for a package. */
function targetOf(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('#')) return specifier.slice(1);
  return specifier.startsWith('.') ? normalize(join(path, '..', specifier)) : undefined;
}

function cycles(sources: readonly Source[]): string[] {
  const graph = new Map(
    sources.map((source) => [
      source.path,
      valueImports(source).flatMap((specifier) => targetOf(source.path, specifier) ?? []),
    ]),
  );
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]) => {
    if (trail.includes(path)) {
      found.push(`a cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`);
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

/** Types are erased before anything runs: they make no cycle. */
function valueImports(source: Source): string[] {
  return importsOf({ ...source, text: source.text.replace(/^\s*(import|export) type [^;]*;/gm, '') });
}
