/**
 * Kubernetes quantities of bytes and cores: their exact value, and the form in which the API server stores them. The
 * server stores `1024Mi` as `1Gi`, so a wanted object with `1024Mi` would differ from the stored one for ever. Pure and
 * total.
 */
import { parseCpu } from '#crds/units.ts';

const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
/** The API server reduces a larger quantity to this number. */
const MOST = 2n ** 63n - 1n;

/** The number of bytes, rounded up; undefined if the text is no quantity. */
function parseBytes(text: string): bigint | undefined {
  const [, whole, fraction = '', suffix = ''] = /^(\d+)(?:\.(\d*))?([A-Za-z]*)$/.exec(text) ?? [];
  const unit = findUnit(suffix);
  if (whole === undefined || unit === undefined) return undefined;
  const scale = 10n ** BigInt(fraction.length);
  const bytes = (BigInt(whole + fraction) * unit + scale - 1n) / scale;
  return bytes < MOST ? bytes : MOST;
}

/** The quantity in the form that the API server stores. A text that is no quantity is returned unchanged. */
export function canonicalQuantity(text: string): string {
  const bytes = parseBytes(text);
  if (bytes === undefined) return text;
  const isBinary = text.endsWith('i') && bytes % 1024n === 0n;
  return isBinary ? shortened(bytes, 1024n, BINARY) : shortened(bytes, 1000n, DECIMAL);
}

/** The same for cores, which the API server counts in thousandths. */
export function canonicalCpu(text: string): string {
  const thousandths = parseCpu(text);
  if (thousandths === undefined) return text;
  return thousandths % 1000 === 0 ? canonicalQuantity(String(thousandths / 1000)) : `${thousandths}m`;
}

/** True if the quantity `text` is at least `least`. */
export function isAtLeast(text: string, least: string): boolean {
  const [bytes, fewest] = [parseBytes(text), parseBytes(least)];
  return bytes !== undefined && fewest !== undefined && bytes >= fewest;
}

function findUnit(suffix: string): bigint | undefined {
  const [binary, decimal] = [BINARY.indexOf(suffix), DECIMAL.indexOf(suffix)];
  if (binary >= 0) return 1024n ** BigInt(binary);
  return decimal >= 0 ? 1000n ** BigInt(decimal) : undefined;
}

function shortened(bytes: bigint, base: bigint, suffixes: readonly string[]): string {
  let [rest, power] = [bytes, 0];
  while (rest > 0n && rest % base === 0n && power < suffixes.length - 1) {
    rest /= base;
    power += 1;
  }
  return `${rest}${suffixes[power]}`;
}
