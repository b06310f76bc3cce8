/** Rules for `spec.headers`: see rules.ts. */
import type { Rule } from './rule.ts';

/** Without these a message cannot be read. */
export const NEEDED_FIELDS = '^(from|mime-version|content-.*)$';
/** The sender or the relay makes these, or they appear once only in a message. */
const MADE_FIELDS =
  '^(from|to|cc|bcc|date|message-id|received|return-path|mime-version|content-.*|resent-.*|dkim-signature)$';

const matches = (pattern: string, name: string) => new RegExp(pattern, 'i').test(name);

export const HEADER_RULES: readonly Rule[] = [
  {
    path: 'spec.headers.remove',
    cel: `!has(self.headers) || !has(self.headers.remove) || self.headers.remove.all(n, !n.matches('(?i)${NEEDED_FIELDS}'))`,
    message:
      'headers.remove names a field without which a message cannot be read: remove From, MIME-Version and Content-* from the list',
    holds: ({ headers }) => (headers?.remove ?? []).every((name) => !matches(NEEDED_FIELDS, name)),
  },
  {
    path: 'spec.headers.add',
    cel: `!has(self.headers) || !has(self.headers.add) || self.headers.add.all(a, !a.name.matches('(?i)${MADE_FIELDS}'))`,
    message:
      'headers.add names a field that the sender or the relay makes, such as From, To, Date, Received or Content-*: choose another name',
    holds: ({ headers }) => (headers?.add ?? []).every(({ name }) => !matches(MADE_FIELDS, name)),
  },
  {
    path: 'spec.headers.add',
    cel: '!has(self.headers) || !has(self.headers.add) || self.headers.add.all(a, self.headers.add.exists_one(b, b.name.lowerAscii() == a.name.lowerAscii()))',
    message: 'headers.add has a name twice: remove one of them',
    holds: ({ headers }) => {
      const names = (headers?.add ?? []).map(({ name }) => name.toLowerCase());
      return new Set(names).size === names.length;
    },
  },
];
