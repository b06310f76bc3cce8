/** Cuts text to a length, always between characters: half of a surrogate pair is no text for anybody. Pure. */

/** At most so many units of UTF-16, which is never more characters. */
export function cutText(text: string, most: number): string {
  if (text.length <= most) return text;
  const isHalved = /[\uD800-\uDBFF]/.test(text.charAt(most - 1));
  return text.slice(0, isHalved ? most - 1 : most);
}

/** At most so many bytes of UTF-8, for those who count bytes. */
export function cutBytes(text: string, most: number): string {
  if (Buffer.byteLength(text) <= most) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(most));
  return text.slice(0, read);
}
