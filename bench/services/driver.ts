// Runs inside a lab machine: creates Services and watches what becomes of them, with its own connection to the API
// server. Requests come on standard input, one JSON object per line, answers go to standard output.
import { createInterface } from 'node:readline';
import {
  endpointSlices,
  fixedCredentials,
  Http2KubeClient,
  readKubeconfig,
  services,
} from '../../src/kube/index.ts';
import { silentLogger } from '../../src/lib/log.ts';
import { systemClock } from '../../src/linux/index.ts';
import type { KubeObject, Resource } from '../../src/kube/types.ts';
import type { DriverRequest, ServiceTimes } from './driver-client.ts';
import { endpointsOf, nameOf, namespace, numberOf, serviceObject, sliceObject } from './objects.ts';

interface ServiceSeen extends KubeObject {
  readonly metadata: KubeObject['metadata'] & { readonly name: string };
  readonly spec?: { readonly loadBalancerIP?: string };
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly object[] } };
}

const [kubeconfig = '', nodeList = ''] = process.argv.slice(2);
const nodes = nodeList.split(',');
const client = new Http2KubeClient(
  {
    clock: systemClock(),
    random: Math.random,
    log: silentLogger,
    credentials: fixedCredentials(await readKubeconfig(kubeconfig)),
  },
  { timeoutMs: 60_000 },
);
/** Wall-clock milliseconds with fractions. */
const now = (): number => performance.timeOrigin + performance.now();
const times = new Map<number, { -readonly [K in keyof ServiceTimes]: ServiceTimes[K] }>();
let waiting: (() => boolean)[] = [];

function timesOf(i: number): { -readonly [K in keyof ServiceTimes]: ServiceTimes[K] } {
  const known = times.get(i);
  if (known !== undefined) return known;
  const made = {};
  times.set(i, made);
  return made;
}

function seen(object: ServiceSeen): void {
  const at = now();
  const of = timesOf(numberOf(object.metadata.name));
  of.seenAt ??= at;
  const { annotations = {} } = object.metadata;
  const vip = annotations['kube-vip.io/loadbalancerIPs'] ?? object.spec?.loadBalancerIP ?? '';
  if (vip !== '') {
    of.assignedAt ??= at;
    of.vip = vip;
  }
  if ((object.status?.loadBalancer?.ingress ?? []).length > 0) of.writtenAt ??= at;
  waiting = waiting.filter((check) => !check());
}

async function watch(): Promise<void> {
  const page = await client.listPage<ServiceSeen>(services, { namespace });
  for (const item of page.items) seen(item);
  let { resourceVersion } = page;
  for (;;) {
    const options = {
      namespace,
      resourceVersion,
      timeoutSeconds: 3600,
      signal: new AbortController().signal,
    };
    await client.watch(services, options, {
      event: (event) => {
        if (event.type === 'BOOKMARK') resourceVersion = event.resourceVersion;
        else if (event.type !== 'DELETED') {
          resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
          seen(event.object as ServiceSeen);
        }
      },
    });
  }
}

function until(check: () => boolean): Promise<void> {
  if (check()) return Promise.resolve();
  return new Promise((resolve) => {
    waiting.push(() => {
      const isDone = check();
      if (isDone) resolve();
      return isDone;
    });
  });
}

async function create(i: number, withAddress: boolean): Promise<void> {
  await client.create(endpointSlices, sliceObject(i, nodes) as KubeObject);
  const of = timesOf(i);
  of.sentAt = now();
  await client.create(services, serviceObject(i, { withAddress }) as KubeObject);
  of.answeredAt = now();
}

async function patchSlice(resource: Resource, i: number, ready: boolean): Promise<void> {
  const ref = { namespace, name: `${nameOf(i)}-1` };
  await client.patch(resource, ref, 'merge', { endpoints: endpointsOf(i, nodes, ready) });
}

async function inParallel(from: number, to: number, width: number, work: (i: number) => Promise<void>) {
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < to) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

async function handle(request: DriverRequest): Promise<unknown> {
  switch (request.op) {
    case 'create':
      await inParallel(request.from, request.to, request.width, (i) => create(i, request.withAddress));
      return {};
    case 'written': {
      const isWritten = (): boolean => {
        for (let i = request.from; i < request.to; i++) {
          if (times.get(i)?.writtenAt === undefined) return false;
        }
        return true;
      };
      await until(isWritten);
      return {};
    }
    case 'times':
      return Array.from({ length: request.to - request.from }, (_, n) => times.get(request.from + n) ?? {});
    case 'endpoints':
      await inParallel(request.from, request.to, request.width, (i) =>
        patchSlice(endpointSlices, i, request.ready),
      );
      return {};
  }
}

void watch();
for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...request } = JSON.parse(line) as DriverRequest & { readonly id: number };
  const answer = await handle(request).then(
    (result) => ({ id, result }),
    (error: unknown) => ({ id, error: String(error) }),
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
