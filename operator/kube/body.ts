/** Reads the text of an answer that may be longer than its reader can bear, because its writer is not trusted. */

/** Undefined if the answer has more bytes than `most`. Its connection is ended then. */
export async function readText(body: AsyncIterable<Uint8Array>, most: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > most) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
