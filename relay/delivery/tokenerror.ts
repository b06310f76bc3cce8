/** Why there is no token for a login at a next hop. The message holds no secret. Pure. */
import type { LoginProblem } from '#crds/loginproblems.ts';

export class TokenError extends Error {
  /** null: the service gives no token now, and nobody has to act. */
  readonly problem: LoginProblem | null;

  constructor(message: string, problem: LoginProblem | null) {
    super(message);
    this.problem = problem;
  }
}
