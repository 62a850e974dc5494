import type { Machine } from '../machine.ts';
import { containerOf } from './container.ts';
import type { Pod, PodAddresses } from './types.ts';

export interface PodState {
  readonly isReady: boolean;
  /** Why it cannot run. */
  readonly failure: string | undefined;
  readonly restarts: number;
  readonly addresses: PodAddresses | undefined;
}

/** What a kubelet writes; the controllers read podIPs and the condition Ready. */
export function podStatus(pod: Pod, node: Machine, state: PodState): object {
  const container = containerOf(pod);
  const { addresses, failure, isReady, restarts } = state;
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const condition = (type: string, isTrue: boolean): object => ({
    type,
    status: isTrue ? 'True' : 'False',
    lastTransitionTime: now,
  });
  return {
    phase: failure === undefined ? 'Running' : 'Pending',
    message: failure ?? null,
    hostIP: node.ipv4,
    hostIPs: [{ ip: node.ipv4 }, { ip: node.ipv6 }],
    ...(addresses === undefined
      ? {}
      : { podIP: addresses.ipv4, podIPs: [{ ip: addresses.ipv4 }, { ip: addresses.ipv6 }] }),
    conditions: [
      condition('PodScheduled', true),
      condition('Initialized', true),
      condition('ContainersReady', isReady),
      condition('Ready', isReady),
    ],
    containerStatuses: [
      {
        name: container.name,
        image: container.image,
        imageID: '',
        ready: isReady,
        started: isReady,
        restartCount: restarts,
        state:
          failure === undefined
            ? { running: { startedAt: now } }
            : { waiting: { reason: 'LabCannotRun', message: failure } },
      },
    ],
  };
}
