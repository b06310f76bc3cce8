/**
 * Finds the report in a mail (RFC 8460 section 5.3): the first part with a media type of reports. A stranger wrote the
 * mail, so parts, nesting and headers are bounded. Pure. Nothing fails: a mail that cannot be read has no report.
 */
import { decodeBody, listParts, readContentType, splitEntity } from '../headers/mimeparts.ts';

const REPORT_TYPES = ['application/tlsrpt+gzip', 'application/tlsrpt+json'];
const MOST_PARTS = 50;
const DEEPEST = 5;

/** The content, decoded. Undefined if there is none. */
export function findReportPart(mail: Buffer): Buffer | undefined {
  let left = MOST_PARTS;
  const search = (text: string, depth: number): Buffer | undefined => {
    const entity = splitEntity(text);
    if (REPORT_TYPES.includes(readContentType(entity).type)) return decodeBody(entity);
    if (depth === DEEPEST) return undefined;
    for (const part of listParts(entity)) {
      left -= 1;
      const found = left < 0 ? undefined : search(part, depth + 1);
      if (found || left < 0) return found;
    }
    return undefined;
  };
  // One character for each byte.
  return search(mail.toString('latin1'), 0);
}
