import { bool, duration, flagValue, text, type FlagScan } from '../config/index.ts';
import type { CloudControllerOptions } from '../manager/index.ts';

const feature = 'ipam';

/** The cloud controller's own flags, with the names that Kubernetes' controllers give them. No key is one of the settings table's. */
export const controllerSettings = {
  leaderElect: bool(true, {
    flag: 'leader-elect',
    feature,
    doc: 'Assign only while holding the lease; off for a process that is known to be alone.',
  }),
  electLeaseDuration: duration(15_000, {
    flag: 'leader-elect-lease-duration',
    feature,
    doc: 'After this long others may take a lease that was not renewed.',
  }),
  electRenewDeadline: duration(10_000, {
    flag: 'leader-elect-renew-deadline',
    feature,
    doc: 'A holder that could not renew for this long stops.',
  }),
  electRetryPeriod: duration(2000, {
    flag: 'leader-elect-retry-period',
    feature,
    doc: 'Between tries to acquire or renew.',
  }),
  outsideCluster: bool(false, {
    flag: 'OutSideCluster',
    feature,
    doc: 'Use ~/.kube/config instead of the service account.',
  }),
  kubeconfig: text('', { flag: 'kubeconfig', feature, doc: 'Use this kubeconfig instead.' }),
} as const;

export function controllerOptions(
  flags: FlagScan,
  { env }: { readonly env: Readonly<Record<string, string | undefined>> },
): CloudControllerOptions {
  const own = controllerSettings;
  const kubeconfig = flagValue(flags, 'kubeconfig', own.kubeconfig);
  const home = `${env['HOME'] ?? ''}/.kube/config`;
  const isOutside = flagValue(flags, 'outsideCluster', own.outsideCluster);
  return {
    isElected: flagValue(flags, 'leaderElect', own.leaderElect),
    leaseDurationMs: flagValue(flags, 'electLeaseDuration', own.electLeaseDuration),
    renewDeadlineMs: flagValue(flags, 'electRenewDeadline', own.electRenewDeadline),
    retryPeriodMs: flagValue(flags, 'electRetryPeriod', own.electRetryPeriod),
    kubeconfig: kubeconfig === '' ? (isOutside ? home : undefined) : kubeconfig,
  };
}
