/** Host names in the form for comparison. Pure. */
import { domainToASCII } from 'node:url';

/** In lower case and ASCII (RFC 5890), without the final dot, which only marks an absolute name. */
export function plainName(host: string): string {
  const name = host.toLowerCase().replace(/\.$/, '');
  return /[^ -~]/.test(name) ? domainToASCII(name) || name : name;
}
