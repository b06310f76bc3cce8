/**
 * The stories of the operator and those of the cluster, side by side: both wait for Kubernetes most of the time, each for
 * one of its own. The cluster tells as it goes, the operator when it has ended. What failed in either is told once more at the
 * end, where somebody looks first. The exit status is the worse one.
 */
import { listFailures, runToEnd } from '#test/kit/runtoend.ts';

const tests = (name: string) => [process.execPath, new URL(name, import.meta.url).pathname, 'test'];

const [cluster, operator] = await Promise.all([
  runToEnd(tests('cluster/run.ts'), { isShown: true }),
  runToEnd(tests('operator/run.ts'), { isShown: false }),
]);
process.stdout.write(`== the operator\n${operator.output}`);
const failures = [cluster, operator].flatMap(({ output }) => listFailures(output));
if (failures.length > 0) process.stdout.write(`== what failed\n${failures.join('\n')}\n`);
process.exitCode = Math.max(cluster.status, operator.status);
