/** A clock for tests of waits that last minutes. */
import type { TestContext } from 'node:test';

/** The test moves the clock by the returned function. Network waits still use real time. */
export function holdTime(context: TestContext): (ms: number) => void {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let now = performance.now();
  context.mock.method(performance, 'now', () => now);
  return (ms) => {
    now += ms;
    context.mock.timers.tick(ms);
  };
}
