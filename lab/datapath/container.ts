import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Container, HttpGet, Pod, PodAddresses } from './types.ts';

/** How the one container of a pod is started on this machine. */
export interface ContainerRun {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface ContainerPlace {
  readonly nodeName: string;
  readonly hostIp: string;
  readonly addresses: PodAddresses;
  /** A folder of its own, for volumes. */
  readonly dir: string;
  /** Contents of the ConfigMaps that the pod's volumes name. */
  readonly configMaps: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/** The pod's only container; an Error when there are several. */
export function containerOf(pod: Pod): Container {
  const [container, second] = pod.spec.containers;
  if (container === undefined || second !== undefined)
    throw new Error(`pod ${pod.metadata.name}: the lab runs pods of exactly one container`);
  return container;
}

/** Names of the ConfigMaps its volumes need. */
export function configMapsOf(pod: Pod): readonly string[] {
  return (pod.spec.volumes ?? []).map(({ name, configMap }) => {
    if (configMap === undefined)
      throw new Error(`pod ${pod.metadata.name}, volume ${name}: the lab knows only ConfigMaps`);
    return configMap.name;
  });
}

/**
 * Instead of an image there is this machine: images called `node` run the Node that runs the lab, and volumes are
 * bound over folders that exist here, in a mount namespace of the container's own.
 */
export function containerRun(pod: Pod, place: ContainerPlace): ContainerRun {
  const container = containerOf(pod);
  if (!/^(.*\/)?node(:|$)/.test(container.image))
    throw new Error(`pod ${pod.metadata.name}: the lab has no image ${container.image}, only node`);
  const program = [...(container.command ?? ['node']), ...(container.args ?? [])];
  const mounts = (container.volumeMounts ?? []).flatMap(({ name, mountPath }) => [
    volumeFolder(pod, name, place),
    mountPath,
  ]);
  const script = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 1; shift 2; done; shift; exec "$@"';
  const command =
    mounts.length === 0 ? program : ['unshare', '-m', 'sh', '-c', script, 'sh', ...mounts, '--', ...program];
  const env: Record<string, string> = {
    HOSTNAME: pod.metadata.name,
    PATH: `${path.dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
  };
  for (const { name, value, valueFrom } of container.env ?? [])
    env[name] =
      valueFrom?.fieldRef === undefined ? (value ?? '') : field(pod, valueFrom.fieldRef.fieldPath, place);
  return { command, env };
}

/** Port of a probe. */
export function portOf(container: Container, { port }: HttpGet): number {
  if (typeof port === 'number') return port;
  const named = (container.ports ?? []).find(({ name }) => name === port);
  if (named === undefined) throw new Error(`container ${container.name} has no port ${port}`);
  return named.containerPort;
}

function field(pod: Pod, fieldPath: string, place: ContainerPlace): string {
  const known: Readonly<Record<string, string>> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'spec.nodeName': place.nodeName,
    'status.hostIP': place.hostIp,
    'status.podIP': place.addresses.ipv4,
  };
  const value = known[fieldPath];
  if (value === undefined) throw new Error(`pod ${pod.metadata.name}: the lab does not know ${fieldPath}`);
  return value;
}

function volumeFolder(pod: Pod, volume: string, { dir, configMaps }: ContainerPlace): string {
  const source = (pod.spec.volumes ?? []).find(({ name }) => name === volume)?.configMap?.name ?? '';
  const files = configMaps.get(source);
  if (files === undefined) throw new Error(`pod ${pod.metadata.name}: no ConfigMap for volume ${volume}`);
  const folder = path.join(dir, volume);
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  return folder;
}
