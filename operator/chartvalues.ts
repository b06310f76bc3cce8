/**
 * The table of the chart's values, out of values.yaml. A comment that begins with "--" describes the value below it, with all
 * that it holds. A value without such a comment is an error, so that none is left out. Pure.
 */
import { isMap, isScalar, type Pair, parseDocument, stringify, type YAMLMap } from 'yaml';

export function describeValues(text: string): string {
  const { contents } = parseDocument(text);
  const rows = isMap(contents) ? describeMap(contents, '') : [];
  return `| value | default | meaning |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
}

function describeMap(map: YAMLMap, path: string): string[] {
  return map.items.flatMap((pair, index) => {
    // The comment above the first key is the comment of the map.
    const comment = keyOf(pair).commentBefore ?? (index === 0 ? map.commentBefore : undefined);
    return describePair(pair, path, comment ?? '');
  });
}

function describePair(pair: Pair, path: string, comment: string): string[] {
  const name = `${path}${keyOf(pair).value}`;
  const [, meaning] = /(?:^|\n) *-- ([\s\S]*)$/.exec(comment) ?? [];
  if (meaning !== undefined)
    return [
      `| \`${name}\` | \`${writeDefault(pair.value)}\` | ${meaning.replace(/\s*\n\s*/g, ' ').replaceAll('|', '\\|')} |`,
    ];
  if (isMap(pair.value) && pair.value.items.length > 0) return describeMap(pair.value, `${name}.`);
  throw new Error(`values.yaml: ${name} has no comment that begins with "# --": describe it`);
}

function keyOf({ key }: Pair): {
  readonly value: unknown;
  readonly commentBefore?: string | null | undefined;
} {
  if (!isScalar(key)) throw new Error('values.yaml: every key is a plain word');
  return key;
}

/** In one line, without the comments. */
function writeDefault(value: unknown): string {
  const plain = isScalar(value) ? value.value : (value as YAMLMap).toJSON();
  return stringify(plain, { collectionStyle: 'flow', lineWidth: 0 }).trim();
}
