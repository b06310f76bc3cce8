/** Asks the server of the console. A refusal is an Error with its sentence. */
import type {
  ActAnswer,
  ActRequest,
  FindAnswer,
  Look,
  QueueAnswer,
  SessionsAnswer,
  Story,
  TraceAnswer,
} from '../api.ts';

interface Questions {
  readonly look: Look;
  readonly queue: QueueAnswer;
  readonly find: FindAnswer;
  readonly story: Story;
  readonly sessions: SessionsAnswer;
  readonly trace: TraceAnswer;
}

export async function ask<Name extends keyof Questions>(
  name: Name,
  parameters: Readonly<Record<string, string>> = {},
): Promise<Questions[Name]> {
  return read(await fetch(`/api/${name}?${new URLSearchParams(parameters)}`));
}

export async function act(request: ActRequest): Promise<ActAnswer> {
  const headers = { 'content-type': 'application/json' };
  return read(await fetch('/api/act', { method: 'POST', headers, body: JSON.stringify(request) }));
}

async function read<T>(response: Response): Promise<T> {
  const answer = (await response.json()) as T & { readonly error?: string };
  if (!response.ok) throw new Error(answer.error ?? String(response.status));
  return answer;
}
