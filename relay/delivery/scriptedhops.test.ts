/**
 * Next hops by random script, against a simple model. Whatever the codes, the pieces in which the replies come and the way
 * in which the connection ends: a message is delivered if its end was answered with 2xx, those whose own reply refused them
 * for good are refused, and all others wait. Where there is a reply too many, nobody is judged by the reply to another command.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { makePair } from '#test/kit/ca.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { letters } from '#test/kit/linerig.ts';
import fc from '#test/kit/property.ts';
import { hopTo, makeParcel } from '#test/kit/relayrig.ts';
import { isTaken, type Script, ScriptedHop } from '#test/kit/scriptedhop.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';

const pair = await makePair('localhost');
const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

const TEXT = 'Subject: x\r\n\r\n.x\r\nx\r\n';

async function* inPieces() {
  for (const piece of TEXT.split(/(?<=\n)/)) yield Buffer.from(piece);
}

interface Terms {
  readonly protocol: 'SMTP' | 'LMTP';
  readonly offers: 'PIPELINING' | 'SIZE';
  readonly isSecure: boolean;
  readonly isWhole: boolean;
}

/** Sends a message for each script, one after the other, over a kept connection where there is one. */
async function sendAll({ protocol, offers, isSecure, isWhole }: Terms, scripts: readonly Script[]) {
  const [first] = scripts;
  assert.ok(first);
  const hop = await ScriptedHop.start({ protocol, offers, pair: isSecure ? pair : undefined }, first);
  const client = clientWith();
  const close = () => {
    client.close();
    hop.close();
  };
  ends.push(close);
  const tls = isSecure
    ? ({ implicitTLS: true, tlsLevel: 'Encrypt' } as const)
    : { tlsLevel: 'None' as const };
  const way = wayTo(hopTo(hop.port, { protocol, ...tls }));
  const results: HopResult[] = [];
  for (const script of scripts) {
    hop.script = script;
    const budget = new AttemptBudget();
    const to = script.rcpt.map((_, index) => `r${index}@example.net`);
    const parcel = makeParcel(TEXT, { to, ...(isWhole ? {} : { body: inPieces }) });
    const resumed = await client.resume(way, parcel, budget);
    results.push(resumed ?? (await client.deliver(way, '127.0.0.1', parcel, budget)));
    budget.close();
  }
  close();
  return { results, taken: hop.taken };
}

/** D: delivered, R: refused for good, w: waits. */
function nameVerdict(code: number): string {
  if (isTaken(code)) return 'D';
  return code >= 500 && code !== 503 ? 'R' : 'w';
}

/** What becomes of the recipients where there is no reply too many. */
function predict({ mail, rcpt, data, end, endsAt }: Script, { protocol }: Terms): string {
  let place = 0;
  let isOver = false;
  const hear = (code: number): number => {
    isOver ||= place === endsAt?.place;
    place += 1;
    const heard = isOver ? 421 : code;
    isOver ||= code === 421;
    return heard;
  };
  const sender = hear(mail);
  if (!isTaken(sender)) return nameVerdict(sender).repeat(rcpt.length);
  const own = rcpt.map(hear);
  if (!own.some(isTaken)) return own.map(nameVerdict).join('');
  const go = hear(data);
  const all = go >= 400 ? go : protocol === 'SMTP' ? hear(end[0] ?? 500) : undefined;
  const judge = (code: number, index: number) => (isTaken(code) ? (all ?? hear(end[index] ?? 500)) : code);
  return own.map(judge).map(nameVerdict).join('');
}

const drawTerms = fc.record({
  protocol: fc.constantFrom('SMTP' as const, 'LMTP' as const),
  offers: fc.constantFrom('PIPELINING' as const, 'SIZE' as const),
  isSecure: fc.boolean(),
  isWhole: fc.boolean(),
});

const drawEnd = fc.record({
  place: fc.nat(10),
  how: fc.constantFrom('end' as const, 'joined' as const, 'reset' as const, 'cut off' as const),
});

const drawCode = fc.constantFrom(250, 250, 250, 250, 251, 299, 450, 451, 550, 550, 571, 503, 421);

function drawScript(atLeast: number): fc.Arbitrary<Script> {
  return fc.integer({ min: atLeast, max: 4 }).chain((recipients) => {
    const each = fc.array(drawCode, { minLength: recipients, maxLength: recipients });
    return fc.record({
      mail: fc.constantFrom(250, 250, 250, 250, 450, 550, 421),
      rcpt: each,
      data: fc.constantFrom(354, 354, 354, 350, 450, 550, 554, 421),
      end: each,
      endsAt: fc.option(drawEnd),
      extra: fc.constant(null),
      cuts: fc.uniqueArray(fc.nat(40), { maxLength: 4 }).map((cuts) => cuts.sort((a, b) => a - b)),
    });
  });
}

test('whatever a hop says, in whatever pieces, and however it ends: each recipient has its own verdict', async () => {
  const drawScripts = fc.array(drawScript(1), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(drawTerms, drawScripts, async (terms, scripts) => {
      const { results, taken } = await sendAll(terms, scripts);
      const got = results.map((result, index) =>
        result.kind === 'unreachable' ? 'w'.repeat(scripts[index]?.rcpt.length ?? 0) : letters(result),
      );
      assert.deepEqual(
        got,
        scripts.map((script) => predict(script, terms)),
      );
      // What is delivered went once.
      if (terms.protocol === 'SMTP')
        scripts.forEach((script, index) => {
          if (got[index]?.includes('D')) assert.equal(taken.get(script), 1);
        });
    }),
    { numRuns: 50 },
  );
});

const withoutGoodbye = (code: number) => (code === 421 ? 450 : code);

/**
 * Two recipients or more: who is alone gets no reply of another one. Behind the 354 a reply may refuse the message, and a 421
 * may come at any place.
 */
const drawShifted = fc
  .tuple(drawScript(2), fc.nat(4), fc.constantFrom(250, 450, 550, 421), fc.boolean())
  .map(([{ mail, rcpt, data, end, ...script }, at, code, isLate]): Script => {
    const place = code === 421 ? at * 2 : Math.min(at, rcpt.length);
    return {
      ...script,
      mail: withoutGoodbye(mail),
      rcpt: rcpt.map(withoutGoodbye),
      data: withoutGoodbye(data),
      end: end.map(withoutGoodbye),
      endsAt: null,
      extra: { place, code, isLate },
    };
  });

test('a reply too many before the 354: nobody is refused or delivered by the reply to another command', async () => {
  await fc.assert(
    fc.asyncProperty(drawTerms, drawShifted, async (terms, script) => {
      const { results } = await sendAll(terms, [script]);
      const verdicts = results[0]?.kind === 'answered' ? results[0].verdicts : [];
      verdicts.forEach((verdict, index) => {
        const isOwn = (said: string) =>
          said.includes(terms.protocol === 'LMTP' ? ` end${index}.` : ' end.') ||
          [' mail.', ' data.', ` r${index}.`].some((about) => said.includes(about));
        if (verdict.kind === 'delivered') assert.match(verdict.reply, /^2.* end/);
        else if (!verdict.failure.permanent) return;
        const said = verdict.kind === 'delivered' ? verdict.reply : verdict.failure.text;
        // The reply too many may be that of a recipient that was refused all the same.
        const isRefused = nameVerdict(script.rcpt[index] ?? 500) === 'R';
        assert.ok(isOwn(said) || (isRefused && verdict.kind === 'failed'), JSON.stringify({ index, said }));
      });
    }),
    { numRuns: 50 },
  );
});
