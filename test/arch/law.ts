/** Holds import specifiers against the rooms. Files come in as texts, so that the law itself can be tested. */
import { join, normalize } from 'node:path';
import { claimsPure, impurities } from './purity.ts';
import type { Room } from './room.ts';
import { ENTRY_FILES, ROOMS } from './rooms.ts';

export interface Source {
  /** From the top of the project. */
  readonly path: string;
  readonly text: string;
}

const IMPORT =
  /^\s*(?:import|export)\b[^'"`;]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;
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
  const isPure = findPure(sources);
  return [
    ...sources.flatMap((source) => checkSource(source, isPure)),
    ...cycles(sources),
    ...roomCycles(sources),
  ];
}

/** Whether a file is held to be pure, so that other pure files may import its values. */
type IsPure = (path: string) => boolean;

function findPure(sources: readonly Source[]): IsPure {
  const claims = new Set(sources.filter(({ text }) => claimsPure(text)).map(({ path }) => path));
  return (path) => findRoom(path)?.pure === true || claims.has(path);
}

function checkSource(source: Source, isPure: IsPure): string[] {
  const { path, text } = source;
  const room = findRoom(path);
  if (!room) return [`${path} is in no room: give it one in test/arch/rooms.ts`];
  const found = listImports(source).flatMap((specifier) => checkImport(path, room, specifier));
  if (SHAPELESS.test(path)) found.push(`${path} is named after nothing: name it after what it owns`);
  const lines = text.trimEnd().split('\n').length;
  if (lines > LINES) found.push(`${path} has ${lines} lines: more than ${LINES} are more than one subject`);
  if (!/^(#!.*\n)?\/\*\*/.test(text) && !path.endsWith('.test.ts'))
    found.push(`${path} has no head that says what it owns`);
  if (isPure(path)) {
    const isPureImport = (specifier: string) => {
      const target = findTarget(path, specifier);
      return target === undefined ? undefined : isPure(target);
    };
    found.push(...impurities(path, text, isPureImport));
  }
  return found;
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
  const through = room.through?.[other.name];
  if (through && !through.some((entry) => target.endsWith(`/${entry}`)))
    return [
      `${path} imports ${target}: "${room.name}" sees "${other.name}" only through ${through.join(', ')} (${room.why})`,
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
  return findCycles(new Map(sources.map((source) => [source.path, listTargets(source)])));
}

/** Rooms that import each other by way of different files, types included: neither is the lower one. */
function roomCycles(sources: readonly Source[]): string[] {
  const graph = new Map<string, Set<string>>(ROOMS.map(({ name }) => [name, new Set()]));
  for (const source of sources) {
    const name = findRoom(source.path)?.name;
    for (const target of listTargets(source)) {
      const other = findRoom(target)?.name;
      if (name !== undefined && other !== undefined && other !== name) graph.get(name)?.add(other);
    }
  }
  return findCycles(graph).map((cycle) => `rooms in ${cycle}`);
}

function listTargets(source: Source): string[] {
  return listImports(source).flatMap((specifier) => findTarget(source.path, specifier) ?? []);
}

function findCycles(graph: ReadonlyMap<string, Iterable<string>>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (node: string, trail: readonly string[]) => {
    if (trail.includes(node)) {
      found.push(`a cycle: ${[...trail.slice(trail.indexOf(node)), node].join(' -> ')}`);
      return;
    }
    if (done.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...trail, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return found;
}

/**
 * Faults of the table itself: rooms and files that it names and that do not exist. `paths`: every file of the project.
 * A name is found by its end, as the law does.
 */
export function tableFaults(
  paths: readonly string[],
  rooms: readonly Room[] = ROOMS,
  entryFiles = ENTRY_FILES,
): string[] {
  const names = new Set(rooms.map(({ name }) => name));
  const findMissing = (room: Room | undefined, files: readonly string[] = []) =>
    files.filter((file) => !paths.some((path) => path.endsWith(`/${file}`) && room?.files.test(path)));
  return [
    ...rooms.flatMap((room) => [
      ...room.rooms
        .concat(Object.keys(room.through ?? {}))
        .filter((other) => !names.has(other))
        .map((other) => `"${room.name}" names the room "${other}", which does not exist`),
      ...findMissing(room, room.entries).map((file) => `"${room.name}" has no ${file}, which is its entry`),
      ...Object.entries(room.through ?? {}).flatMap(([other, files]) =>
        findMissing(
          rooms.find(({ name }) => name === other),
          files,
        ).map((file) => `"${other}" has no ${file}, through which "${room.name}" sees it`),
      ),
    ]),
    ...entryFiles
      .filter((file) => !paths.includes(file))
      .map((file) => `${file}, an entry file, does not exist`),
  ];
}
