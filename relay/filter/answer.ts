/**
 * Reads the answer of the filter: what to do with the message, and what to change of its header. Anything that this file
 * cannot read is a failure, and the failure policy decides. Pure.
 */
import { z } from 'zod';
import type { HeaderStep } from '../headers/header.ts';
import { compileChanges, type FieldChanges, MOST_FIELDS } from './fields.ts';

export type Verdict =
  | { readonly kind: 'pass' | 'hold'; readonly action: string; readonly changes: HeaderStep }
  | { readonly kind: 'refuse'; readonly action: string; readonly permanent: boolean; readonly text: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** The actions of rspamd. Its greylisting module answers "no action" when a message comes again in time. */
const ACTIONS = {
  'no action': { kind: 'pass' },
  'add header': { kind: 'pass', adds: [{ name: 'X-Spam', value: 'Yes' }] },
  'rewrite subject': { kind: 'pass', rewritesSubject: true },
  greylist: { kind: 'refuse', permanent: false, text: 'Greylisted, try again later' },
  'soft reject': { kind: 'refuse', permanent: false, text: 'Try again later' },
  reject: { kind: 'refuse', permanent: true, text: 'Refused by the content filter' },
  quarantine: { kind: 'hold' },
  // The relay has to answer for what it accepts, so a person decides.
  discard: { kind: 'hold' },
} as const;

export const ACTION_NAMES: readonly string[] = Object.keys(ACTIONS);

const SUBJECT = '*** SPAM ***';

const fieldName = z.string().regex(/^[!-9;-~]{1,76}$/, 'is no field name');

/** Lua has one empty table, which rspamd writes as a list, also where a map belongs. null is as good as absent. */
const orNothing = <Shape extends z.ZodType>(shape: Shape) =>
  z.preprocess(
    (value) => (value === null || (Array.isArray(value) && value.length === 0) ? undefined : value),
    shape.optional(),
  );

/** A value that the filter computed. */
const text = z.union([z.string(), z.number().transform(String), z.boolean().transform(String)]);
const added = orNothing(
  z.union([text, z.object({ value: orNothing(text) }).transform(({ value }) => value)]),
);
const position = orNothing(
  z.union([
    z.int(),
    z
      .string()
      .regex(/^-?\d{1,9}$/)
      .transform(Number),
  ]),
);
const oneOrMany = <Shape extends z.ZodType>(shape: Shape) =>
  z.union([shape, z.array(shape)]).transform((values) => [values].flat().filter((one) => one !== undefined));

const answerShape = z.object({
  action: z.string(),
  subject: orNothing(text),
  /** Of another shape in some versions, if it is empty. */
  messages: z
    .object({ smtp_message: z.string().optional().catch(undefined) })
    .optional()
    .catch(undefined),
  milter: orNothing(
    z.object({
      add_headers: orNothing(z.record(fieldName, oneOrMany(added))),
      remove_headers: orNothing(z.record(fieldName, oneOrMany(position))),
    }),
  ),
});

type Answer = z.infer<typeof answerShape>;

export function readAnswer(text: string): Verdict {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return failed('the answer is no JSON');
  }
  const read = answerShape.safeParse(json);
  if (!read.success) {
    const [issue] = read.error.issues;
    return failed(`the answer cannot be read: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  return judge(read.data);
}

function judge({ action, messages, subject, milter }: Answer): Verdict {
  if (!isAction(action)) return failed(`the answer has the unknown action "${action}"`);
  const meaning: Meaning = ACTIONS[action];
  if (meaning.kind === 'refuse') {
    const { permanent, text } = meaning;
    return { kind: 'refuse', action, permanent, text: messages?.smtp_message || text };
  }
  const named = listChanges(milter);
  if (named.adds.length + named.removes.size > MOST_FIELDS)
    return failed(`the answer changes more than ${MOST_FIELDS} fields`);
  const changes = compileChanges({
    adds: [...named.adds, ...(meaning.adds ?? [])],
    removes: named.removes,
    ...(meaning.rewritesSubject ? { subject: subject ?? SUBJECT } : {}),
  });
  return changes === undefined
    ? failed('the answer adds too many bytes to the header')
    : { kind: meaning.kind, action, changes };
}

type Meaning =
  | { readonly kind: 'refuse'; readonly permanent: boolean; readonly text: string }
  | {
      readonly kind: 'pass' | 'hold';
      readonly adds?: FieldChanges['adds'];
      readonly rewritesSubject?: boolean;
    };

function isAction(action: string): action is keyof typeof ACTIONS {
  return Object.hasOwn(ACTIONS, action);
}

function listChanges(milter: Answer['milter']): Pick<FieldChanges, 'adds' | 'removes'> {
  const { add_headers = {}, remove_headers = {} } = milter ?? {};
  return {
    adds: Object.entries(add_headers).flatMap(([name, values]) => values.map((value) => ({ name, value }))),
    removes: new Map(
      Object.entries(remove_headers).map(([name, positions]) => [name.toLowerCase(), positions]),
    ),
  };
}

function failed(reason: string): Verdict {
  // The filter wrote a part of it.
  return { kind: 'failed', reason: reason.replace(/[^ -~]/g, '?').slice(0, 300) };
}
