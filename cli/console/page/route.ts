/** The place in the page, as the address has it behind "#", so that a person can go back. */
import { useEffect, useState } from 'preact/hooks';
import type { MessageKey } from '../api.ts';

export const SECTIONS = ['overview', 'sessions', 'queue', 'find', 'trace'] as const;
export type Section = (typeof SECTIONS)[number];

export type Route =
  | { readonly kind: 'section'; readonly section: Section; readonly pod?: string }
  | { readonly kind: 'message'; readonly key: MessageKey };

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const follow = () => setHash(location.hash);
    window.addEventListener('hashchange', follow);
    return () => window.removeEventListener('hashchange', follow);
  }, []);
  return parseRoute(hash);
}

function parseRoute(hash: string): Route {
  const [, first = '', second = '', third = ''] = hash.split('/').map(decodeURIComponent);
  if (first === 'message') return { kind: 'message', key: { pod: second, id: third } };
  const section = SECTIONS.find((one) => one === first) ?? 'overview';
  return { kind: 'section', section, ...(second === '' ? {} : { pod: second }) };
}

export function linkSection(section: Section, pod?: string): string {
  return pod === undefined ? `#/${section}` : `#/${section}/${encodeURIComponent(pod)}`;
}

export function linkMessage({ pod, id }: MessageKey): string {
  return `#/message/${encodeURIComponent(pod)}/${encodeURIComponent(id)}`;
}
