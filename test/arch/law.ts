/** Holds import specifiers against the rooms. Pure: files come in as texts, so that the law itself can be tested. */
import { join, normalize } from 'node:path';
import { ENTRY_FILES, ROOMS, type Room } from './rooms.ts';

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
/** Of Node's modules, those that reach the world; an import of types alone reaches nothing. */
const IMPURE_PACKAGE =
  /^node:(fs|child_process|dgram|dns|http|https|http2|os|process|timers|worker_threads|sqlite)\b/;
const LINES = 300;
const SHAPELESS = /(^|\/)(utils?|common|lib|types|helpers)(\/|\.ts$)/;

export function listImports({ text }: Source): string[] {
  return [...text.matchAll(IMPORT)].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? '');
}

function findRoom(path: string): Room | undefined {
  return ROOMS.find(({ files }) => files.test(path));
}

/** Every breach of the law, as sentences. */
export function breaches(sources: readonly Source[]): string[] {
  return [...sources.flatMap(checkSource), ...cycles(sources)];
}

function checkSource(source: Source): string[] {
  const { path, text } = source;
  const room = findRoom(path);
  if (!room) return [`${path} is in no room: give it one in test/arch/rooms.ts`];
  const found = listImports(source).flatMap((specifier) => checkImport(path, room, specifier));
  if (SHAPELESS.test(path)) found.push(`${path} is named after nothing: name it after what it owns`);
  const lines = text.trimEnd().split('\n').length;
  if (lines > LINES && room.name !== 'tests')
    found.push(`${path} has ${lines} lines: more than ${LINES} are more than one subject`);
  if (!/^(#!.*\n)?\/\*\*/.test(text) && !path.endsWith('.test.ts'))
    found.push(`${path} has no head that says what it owns`);
  if (room.pure || claimsPure(text)) found.push(...impurities(path, text));
  return found;
}

/** A head that says "Pure" is a promise: it is held wherever it stands. */
function claimsPure(text: string): boolean {
  return /\bPure\b/.test(/^(?:#!.*\n)?\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? '');
}

function impurities(path: string, text: string): string[] {
  const packages = listImports({ path, text: withoutTypes(text) }).filter((name) =>
    IMPURE_PACKAGE.test(name),
  );
  return [
    ...IMPURE.filter(([pattern]) => pattern.test(text)).map(
      ([, what]) => `${path} is pure and uses ${what}: let it come in as an argument`,
    ),
    ...packages.map(
      (name) => `${path} is pure and imports ${name}: let what it gives come in as an argument`,
    ),
  ];
}

function checkImport(path: string, room: Room, specifier: string): string[] {
  const target = findTarget(path, specifier);
  if (target === undefined) {
    const name = specifier.startsWith('@')
      ? specifier.split('/').slice(0, 2).join('/')
      : (specifier.split('/')[0] ?? '');
    const allowed = room.packages.some(
      (known) => known === name || known === '*' || (known === 'node:*' && name.startsWith('node:')),
    );
    return allowed ? [] : [`${path} imports ${name}: not in "${room.name}" (${room.why})`];
  }
  const other = findRoom(target);
  if (!other || other === room) return [];
  if (!room.rooms.includes(other.name))
    return [`${path} imports ${target}: "${room.name}" may not see "${other.name}" (${room.why})`];
  if (other.entries && room.name !== 'tests' && !other.entries.some((entry) => target.endsWith(`/${entry}`)))
    return [
      `${path} imports ${target}: "${other.name}" is entered by ${other.entries.join(', ')} (${other.why})`,
    ];
  const crosses = room.name === 'cli' && !target.startsWith('crds/');
  return crosses && !ENTRY_FILES.includes(target)
    ? [`${path} imports ${target}: only the entry files of a half (${room.why})`]
    : [];
}

/** The file that a specifier names, or undefined for a package. */
function findTarget(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('#')) return specifier.slice(1);
  return specifier.startsWith('.') ? normalize(join(path, '..', specifier)) : undefined;
}

/** Files that import each other, types included: what needs the other's types cannot be understood without it. */
function cycles(sources: readonly Source[]): string[] {
  const graph = new Map(
    sources.map((source) => [
      source.path,
      listImports(source).flatMap((specifier) => findTarget(source.path, specifier) ?? []),
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

function withoutTypes(text: string): string {
  return text.replace(/^\s*(import|export) type [^;]*;/gm, '');
}
