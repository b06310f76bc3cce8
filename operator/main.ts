/**
 * The operator process: settings, caches, leader election, controller. Two replicas may run; the one that leads writes.
 * Losing the Lease ends the process; SIGTERM gives it up and ends with 0.
 */
import { Controller } from './controller.ts';
import { startHealth } from './health.ts';
import { Client, loadConfig } from './kube/client.ts';
import { Leadership } from './kube/leadership.ts';
import { logLine as log } from './log.ts';
import { OperatorMetrics } from './metrics.ts';
import { HELP, parseSettings, type Settings } from './settings.ts';

/** After an API server was unwell for longer than this, what failed meanwhile is not left to wait for its turn. */
const LONG_AWAY_MS = 5_000;

/** The exit status. */
export async function runOperator(argv: string[]): Promise<number> {
  const parsed = parseSettings(argv, process.env);
  if (parsed.kind === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (parsed.kind === 'usage') {
    process.stderr.write(`mailrelay: ${parsed.message}\n`);
    return 2;
  }
  return operate(parsed.settings);
}

async function operate(settings: Settings): Promise<number> {
  const client: Client = new Client(loadConfig(settings.kubeconfig), (news) => {
    if (news.kind === 'away') {
      log('api_server_away', { message: news.message });
      return;
    }
    log('api_server_back', { afterMs: Math.round(news.afterMs) });
    if (news.unanswered || news.afterMs > LONG_AWAY_MS) controller.apiServerBack();
  });
  const namespace = settings.namespace ?? client.namespace ?? 'default';
  const installation = `${namespace}/${settings.release}`;
  const leadership = new Leadership(leaseOptions(settings, client, namespace), installation);
  const metrics = new OperatorMetrics();
  const controller = new Controller({
    client,
    namespaces: settings.namespaces,
    settings: { ...settings.render, operatorNamespace: namespace },
    installation: { name: installation, className: settings.className, isDefault: settings.defaultClass },
    workers: settings.workers,
    rollingRelays: settings.rollingRelays,
    identity: settings.identity,
    log,
    metrics,
    mayWrite: () => !settings.leaderElection || leadership.isFresh,
  });
  await startHealth(settings.healthPort, {
    trouble: () => controller.trouble,
    metrics: () => metrics.render(controller.figures),
  });
  controller.start();
  void follow(controller, settings.leaderElection ? leadership : undefined);
  await signalled();
  log('stopping');
  await controller.stop();
  await leadership.release();
  log('stopped');
  // Nor does an answer that never comes hold it up.
  process.exit(0);
}

function leaseOptions({ leaseName, identity }: Settings, client: Client, namespace: string) {
  const onLost = () => {
    log('lease_lost');
    process.exit(1);
  };
  return { client, namespace, name: leaseName, identity, monotonic: () => performance.now(), onLost };
}

async function follow(controller: Controller, leadership: Leadership | undefined): Promise<void> {
  await leadership?.acquire();
  if (leadership && !leadership.held) return;
  log('leading');
  await controller.lead();
  log('caches_complete');
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}
