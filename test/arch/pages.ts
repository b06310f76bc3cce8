/** The pages of the documentation as data: links, headings, code blocks, and commands in them. */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const TOP = fileURLToPath(new URL('../../', import.meta.url));

export interface Block {
  /** Path and line, for messages. */
  readonly at: string;
  /** The word behind the fence, such as yaml; empty without one. */
  readonly language: string;
  readonly text: string;
}

export interface Page {
  /** From the top of the project. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** The targets of headings, as web pages of repositories make them. */
  readonly anchors: ReadonlySet<string>;
  readonly links: readonly string[];
}

export function readPages(): Page[] {
  const paths = globSync(['*.md', 'docs/**/*.md', 'charts/**/*.md'], { cwd: TOP }).toSorted();
  return paths.map((path) => readPage(path, readFileSync(`${TOP}${path}`, 'utf8')));
}

function readPage(path: string, text: string): Page {
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: { line: number; indent: number; language: string; lines: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const [, indent, language] = /^( *)```(\S*)$/.exec(line) ?? [];
    if (open && indent !== undefined) {
      blocks.push({ at: `${path}:${open.line}`, language: open.language, text: open.lines.join('\n') });
      open = undefined;
    } else if (open) open.lines.push(line.slice(open.indent));
    else if (indent === undefined) prose.push(line);
    else open = { line: index + 2, indent: indent.length, language: language ?? '', lines: [] };
  }
  const headings = prose.flatMap((line) => /^#+ (.*)$/.exec(line)?.[1] ?? []);
  const links = [...prose.join('\n').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return { path, text, blocks, anchors: new Set(headings.map(makeAnchor)), links };
}

function makeAnchor(heading: string): string {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number}\p{Mark} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** The lines of a block of a shell, continued ones joined, without comments, prompts and the lines of an output. */
export function listCommandLines({ text }: Block): string[] {
  const lines = text.replace(/\\\n\s*/g, ' ').split('\n');
  const prompted = lines.filter((line) => line.startsWith('$ '));
  return (prompted.length > 0 ? prompted : lines).map((line) =>
    line.replace(/^\$ /, '').replace(/(^|\s)# .*$/, ''),
  );
}

/** The words of each call of this program in a line, its name first; what stands in quotes is one word. */
export function listOwnCalls(line: string): string[][] {
  const calls = /(?:^|-- |\| |\(|&& )\s*(kubectl mailrelay|(?:bin\/)?mailrelay)(?: ([^|;&><()]*))?/g;
  return [...line.matchAll(calls)].flatMap(([, name = '', rest = '']) => {
    const words = rest.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
    const isVerb = /^[a-z]/.test(words[0] ?? '') && words[0] !== 'help';
    return isVerb ? [[...name.replace('bin/', '').split(' '), ...words]] : [];
  });
}
