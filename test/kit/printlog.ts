/** The last lines of a program's log: a failure that comes once in a hundred runs cannot be understood without them. */
const LINES = 60;

export function printLog(program: string, log: string): void {
  process.stderr.write(`The last lines of ${program}:\n${log.split('\n').slice(-LINES).join('\n')}\n`);
}
