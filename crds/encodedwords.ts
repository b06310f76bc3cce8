/** Encoded words of RFC 2047 section 2, for a text that is not ASCII. Pure. */

/** `mostBytes`: of the text in one word, before it is encoded. Each has at least one character. */
export function encodedWords(text: string, mostBytes: number): string[] {
  const pieces: string[] = [];
  for (const character of text.toWellFormed()) {
    const longer = `${pieces.at(-1) ?? ''}${character}`;
    if (pieces.length > 0 && Buffer.byteLength(longer) <= mostBytes) pieces[pieces.length - 1] = longer;
    else pieces.push(character);
  }
  return pieces.map((piece) => `=?UTF-8?B?${Buffer.from(piece).toString('base64')}?=`);
}
