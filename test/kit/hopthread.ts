/** A scripted hop in a thread of its own: it answers while the thread of the relay is busy. Started as a worker. */
import { parentPort, workerData } from 'node:worker_threads';
import { type HopTerms, type Script, ScriptedHop } from './scriptedhop.ts';

export interface HopThread {
  readonly terms: HopTerms;
  readonly script: Script;
}

const { terms, script } = workerData as HopThread;
const hop = await ScriptedHop.start(terms, script);
parentPort?.postMessage(hop.port);
