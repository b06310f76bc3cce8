/**
 * The shapes that fields of a MailRelay share: names, hosts, ports, networks, quantities. Each is bounded, because CEL
 * rules have a cost, and each fault completes a sentence.
 */
import { z } from 'zod';
import { STARTTLS_POLICIES } from './policyfile.ts';

const HOST_PATTERN = '^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*$';
const OBJECT_NAME_PATTERN = '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$';

/** `what` completes "must be ...": the sentence that lint and `mailrelay run` print. */
export const text = (pattern: string, maxLength: number, what: string) =>
  z.string().min(1).max(maxLength).regex(new RegExp(pattern), `must be ${what}`);
export const host = () => text(HOST_PATTERN, 253, 'a host name in lower case, such as relay.example.com');
/** A next hop may also be an address. */
export const hopHost = () =>
  text(`${HOST_PATTERN}|^[0-9a-fA-F.:]+$`, 253, 'a host name in lower case, or an address');
export const objectName = () =>
  text(
    OBJECT_NAME_PATTERN,
    253,
    'the name of a Kubernetes object: lower-case letters, digits, hyphens and dots',
  );
export const port = () => z.int().min(1).max(65_535);
export const networks = () =>
  z
    .array(text('^[0-9a-fA-F.:]+(/[0-9]{1,3})?$', 49, 'an address or a CIDR, such as 10.20.0.0/16'))
    .min(1)
    .max(64);
export const domains = (max: number) => z.array(host()).min(1).max(max);
export const starttls = () => z.enum(STARTTLS_POLICIES);
