/** A guard of logins whose checks end when the test says so, and whose delays take no time. */
import { setImmediate } from 'node:timers/promises';
import { LoginGuard, type Verdict } from '#relay/auth/guard.ts';

export const OPEN = new AbortController().signal;

export function makeGuard() {
  const clock = { now: 0 };
  /** The delays that are held back, in milliseconds. */
  const sleeps: number[] = [];
  const guard = new LoginGuard(
    () => clock.now,
    async (ms) => void sleeps.push(ms),
  );
  /** What the Secret has of all users. */
  const secret = { stored: 'first', password: 'right' };
  /** The checks that have begun, and those that have not ended. */
  const begun: string[] = [];
  const open: { readonly end: () => void; readonly fail: (error: Error) => void }[] = [];
  const verdicts = new Map<string, Verdict['kind'][]>();
  interface Said {
    readonly ended?: AbortSignal;
    readonly network?: string;
    readonly of?: string;
    readonly isProof?: boolean;
  }
  /** A password begins with the right one or is wrong. */
  const guess = (
    client: string,
    user: string,
    password: string,
    { ended = OPEN, network, of, isProof = false }: Said = {},
  ) => {
    const name = `${client} ${user} ${password}`;
    const check = () => {
      begun.push(name);
      const { promise, resolve, reject } = Promise.withResolvers<boolean>();
      const isRight = password.startsWith(secret.password);
      open.push({ end: () => resolve(isRight), fail: reject });
      return promise;
    };
    const verdict = guard.guess({
      client,
      network: network ?? client,
      user: { source: of ?? 'users', name: user },
      shown: password,
      isProof,
      stored: () => secret.stored,
      check,
      ended,
    });
    void verdict.then(
      ({ kind }) => verdicts.set(name, [...(verdicts.get(name) ?? []), kind]),
      () => undefined,
    );
    return verdict;
  };
  /** So many checks end, one after the other. */
  const endChecks = async (count = Number.POSITIVE_INFINITY) => {
    for (let n = 0; n < count && open.length > 0; n++) {
      open.shift()?.end();
      await setImmediate();
    }
  };
  return { guard, guess, begun, open, verdicts, sleeps, endChecks, secret, clock };
}

export const kindsOf = async (all: readonly Promise<Verdict>[]) =>
  (await Promise.all(all)).map(({ kind }) => kind);
