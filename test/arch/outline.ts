/**
 * What a page and its translation have in common, piece by piece and in their order: headings, paragraphs, rows of tables and code
 * blocks, with the names in `code` and the links of each. Comments in code are translated, so they are left out. Pure.
 */
import { dirname, join, normalize } from 'node:path';

const FENCE = /^( *)```(\S*)$/;
const ITEM = /^ *(?:\d+\.|[*-]) /;

/** The page that `path` is a translation of. */
export function findOriginal(path: string): string {
  return path === 'docs/zh/README.md' ? 'README.md' : path.replace('docs/zh/', 'docs/');
}

/** The pieces of the page at `path`, one string each. */
export function outline(path: string, text: string): string[] {
  return listPieces(text).map(({ mark, lines }) => {
    if (mark.includes('```')) return [mark, ...lines.map(withoutComment)].join('\n').trimEnd();
    const words = lines.join(' ');
    return [mark, ...listCode(words), ...listTargets(path, words)].filter(Boolean).join(' ');
  });
}

interface Piece {
  /** What kind of piece it is, and how deep it stands. */
  readonly mark: string;
  readonly lines: string[];
}

function listPieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  let open: Piece | undefined;
  for (const line of text.split('\n')) {
    const isBlock = open?.mark.includes('```');
    if (isBlock && FENCE.test(line)) open = undefined;
    else if (isBlock) open?.lines.push(line);
    else if (line.trim() === '') open = undefined;
    else {
      const mark = markOf(line);
      if (open && mark === 'paragraph') open.lines.push(line);
      else {
        open = { mark, lines: mark.includes('```') ? [] : [line] };
        pieces.push(open);
      }
    }
  }
  return pieces;
}

function markOf(line: string): string {
  const [, cells] = /^ *\|(.*)\|$/.exec(line) ?? [];
  if (cells !== undefined) return `row of ${cells.split('|').length}`;
  if (/^ *<!-- /.test(line)) return line.trim();
  const [mark] = FENCE.exec(line) ?? /^#+ /.exec(line) ?? ITEM.exec(line) ?? [];
  return mark ?? 'paragraph';
}

const withoutComment = (line: string) => line.replace(/(^|\s+)# .*$/, '');

/** Another language has another order of words, and may name a thing twice. */
function listCode(words: string): string[] {
  return [...new Set(words.match(/`[^`]+`/g))].toSorted();
}

/** Where its links lead: a translation may lead to translations. Headings have other names there. */
function listTargets(path: string, words: string): string[] {
  const targets = [...words.matchAll(/\]\(([^)\s#]+)/g)].map(([, target = '']) =>
    /^[a-z]+:/.test(target) ? target : findOriginal(normalize(join(dirname(path), target))),
  );
  return [...new Set(targets)].toSorted();
}
