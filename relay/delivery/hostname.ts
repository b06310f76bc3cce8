/** Host names as they are compared. Pure. */
import { domainToASCII } from 'node:url';

/** In lower case, in ASCII (RFC 5890), without the final dot that only says that the name is absolute. */
export function plainName(host: string): string {
  const name = host.toLowerCase().replace(/\.$/, '');
  return /[^ -~]/.test(name) ? domainToASCII(name) || name : name;
}
