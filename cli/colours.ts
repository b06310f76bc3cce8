/** The variables of the environment that turn styles off and on. Imports nothing: see main.ts. */

/**
 * As no-color.org has it: an empty variable counts as not set, and NO_COLOR wins. Node sees these variables in its own
 * way, and warns about both.
 */
export function settleColours(env: NodeJS.ProcessEnv): void {
  for (const name of ['NO_COLOR', 'FORCE_COLOR']) if (env[name] === '') delete env[name];
  if (env['NO_COLOR'] !== undefined) delete env['FORCE_COLOR'];
}
