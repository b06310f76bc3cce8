/**
 * The pages of the documentation as data: links, headings, code blocks, and commands in them. A block without a language has
 * commands, and each of them is run by a test. Where none can, a comment before the block says why:
 * `<!-- not run: it needs a registry -->`.
 */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const TOP = fileURLToPath(new URL('../../', import.meta.url));

export interface Block {
  /** Path and line, for messages. */
  readonly at: string;
  /** The word behind the fence, such as yaml; empty without one. */
  readonly language: string;
  readonly text: string;
  /** Why no test runs its commands. */
  readonly notRun?: string | undefined;
}

export interface Command {
  /** The path of its page. */
  readonly path: string;
  /** Path and line of its block. */
  readonly at: string;
  readonly text: string;
  readonly notRun: string | undefined;
}

export interface Page {
  /** From the top of the project. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** The targets of headings, as web pages of repositories make them. */
  readonly anchors: ReadonlySet<string>;
  readonly links: readonly string[];
  /** What stands in `code` in the text; a line may end in it. */
  readonly inlineCode: readonly string[];
}

const NOT_RUN = /^ *<!-- not run: (.*\S) -->$/;

export function readPages(): Page[] {
  const paths = globSync(['*.md', 'docs/**/*.md', 'charts/**/*.md'], { cwd: TOP }).toSorted();
  return paths.map((path) => readPage(path, readFileSync(`${TOP}${path}`, 'utf8')));
}

export function readPage(path: string, text: string): Page {
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open:
    | { line: number; indent: number; language: string; lines: string[]; notRun: string | undefined }
    | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const [, indent, language] = /^( *)```(\S*)$/.exec(line) ?? [];
    if (open && indent !== undefined) {
      const { line: first, language: named, lines, notRun } = open;
      blocks.push({ at: `${path}:${first}`, language: named, text: lines.join('\n'), notRun });
      open = undefined;
    } else if (open) open.lines.push(line.slice(open.indent));
    else if (indent === undefined) prose.push(line);
    else {
      const [, notRun] = NOT_RUN.exec(prose.at(-1) ?? '') ?? [];
      open = { line: index + 2, indent: indent.length, language: language ?? '', lines: [], notRun };
      prose.push('');
    }
  }
  const headings = prose.flatMap((line) => /^#+ (.*)$/.exec(line)?.[1] ?? []);
  const links = [...prose.join('\n').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  const inlineCode = [...prose.join('\n').matchAll(/`([^`]+)`/g)].map(([, code = '']) =>
    code.replace(/\n\s*/, ' '),
  );
  return { path, text, blocks, anchors: new Set(headings.map(makeAnchor)), links, inlineCode };
}

function makeAnchor(heading: string): string {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number}\p{Mark} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** All commands of the pages; dated reports are no instructions. */
export function listCommands(pages: readonly Page[]): Command[] {
  return pages
    .filter(({ path }) => !path.startsWith('docs/reports/'))
    .flatMap((page) =>
      listShellBlocks(page).flatMap((block) =>
        listCommandLines(block).map((text) => ({
          path: page.path,
          at: block.at,
          text,
          notRun: block.notRun,
        })),
      ),
    );
}

export function listShellBlocks({ blocks }: Page): Block[] {
  return blocks.filter(({ language }) => /^(|sh|bash)$/.test(language));
}

/**
 * The lines of a block of a shell without comments, prompts and the lines of an output. A line that goes on in the next one,
 * and a line with its here-document, are one.
 */
export function listCommandLines({ text }: Block): string[] {
  const lines = text.replace(/\\\n\s*/g, ' ').match(/^.*<<(\w+)\n[\s\S]*?^\1$|^.+$/gm) ?? [];
  const prompted = lines.filter((line) => line.startsWith('$ '));
  return (prompted.length > 0 ? prompted : [...lines])
    .map((line) =>
      line
        .replace(/^\$ /, '')
        .replace(/(^|\s)# .*$/, '')
        .trim(),
    )
    .filter(Boolean);
}

/** Which test runs a command: test/local/pagecommands.test.ts without a cluster, or test/cluster/2-pages.test.ts ("make soak"). */
export function chooseRunner({ text, notRun }: Command): 'local' | 'cluster' | 'none' {
  if (notRun !== undefined) return 'none';
  const isOwn = /^(?:bin\/)?mailrelay\b/.test(text) && !/\| (?:kubectl|helm) /.test(text);
  return isOwn ? 'local' : 'cluster';
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
