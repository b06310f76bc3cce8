/** The rules of .dockerignore: which files of the project are in the image. The last rule that speaks of a file decides. */
interface Rule {
  readonly keeps: boolean;
  readonly pattern: RegExp;
}

/** Says of a path whether the file is kept. */
export function parseIgnoreFile(text: string): (path: string) => boolean {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const rules = lines.map(parseRule);
  return (path) => rules.findLast(({ pattern }) => pattern.test(path))?.keeps ?? true;
}

function parseRule(line: string): Rule {
  const parts = line.replace(/^!/, '').split('**/');
  const escaped = parts.map((part) => part.replace(/[.+]/g, '\\$&').replaceAll('*', '[^/]*'));
  return { keeps: line.startsWith('!'), pattern: new RegExp(`^${escaped.join('(?:.*/)?')}(?:/.*)?$`) };
}
