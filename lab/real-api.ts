import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ApiClient } from './api-client.ts';
import type { ApiBackend, ApiUser } from './api-backend.ts';
import { requireComponent } from './components.ts';
import { run } from './exec.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import type { Lab } from './lab.ts';
import type { Machine } from './machine.ts';
import { kubeVipRights } from './manifests.ts';
import { makePki } from './pki.ts';
import type { Pki } from './pki.ts';
import type { LabProcess } from './process.ts';
import { waitFor } from './wait.ts';

/** The user the daemon is unless it is told to be the administrator; its rights are those of the manifest. */
export const kubeVipUser = 'system:serviceaccount:kube-system:kube-vip';

/** A fifth of the work of a start is garbage collection: 70 MB more memory buy it off. */
export const apiServerEnvironment = { GOGC: '400' };

const tokens: Readonly<Record<ApiUser, string>> = {
  admin: 'lab-admin-token',
  'kube-vip': 'lab-kube-vip-token',
};

/** Older ones leave progress requests of watches unanswered, and a current API server then refuses watches (504). */
async function checkEtcd(etcd: string): Promise<void> {
  const text = await run(etcd, ['--version']);
  const [, major = '0', minor = '0', patch = '0'] = /etcd Version: (\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  const rank = Number(major) * 1e6 + Number(minor) * 1e3 + Number(patch);
  if (rank < 3_005_013)
    throw new Error(`etcd at ${etcd} is too old (${major}.${minor}.${patch}); 3.5.13 or newer`);
}

/** etcd and kube-apiserver on every control-plane node; the members talk over the bridge. */
export class RealApi implements ApiBackend {
  readonly kind = 'real';
  readonly port = 6443;
  readonly client: ApiClient;
  readonly #lab: Lab;
  readonly #pki: Pki;
  readonly #processes = new Map<
    string,
    { etcd: LabProcess | undefined; apiserver: LabProcess | undefined }
  >();

  private constructor(lab: Lab, pki: Pki) {
    this.#lab = lab;
    this.#pki = pki;
    this.client = new ApiClient(lab.client, {
      servers: lab.controlPlanes.map((node) => this.serverOf(node)),
      ca: pki.ca,
      token: tokens.admin,
    });
  }

  /** Ready when every API server says so and the roles exist: 3-8 s for three nodes. */
  static async start(lab: Lab): Promise<RealApi> {
    await checkEtcd(requireComponent('etcd'));
    const dir = path.join(lab.dir, 'pki');
    mkdirSync(dir);
    const vips = Array.from({ length: 10 }, (_, n) => [lab.plan.vip(n), lab.plan.vip6(n)]).flat();
    const pki = await makePki(
      dir,
      [
        'kubernetes',
        'kubernetes.default',
        'kubernetes.default.svc',
        'localhost',
        ...lab.nodes.map((n) => n.name),
      ],
      ['127.0.0.1', '::1', '10.96.0.1', ...lab.controlPlanes.flatMap((n) => [n.ipv4, n.ipv6]), ...vips],
    );
    writeFileSync(
      path.join(dir, 'tokens.csv'),
      `${tokens.admin},admin,1,system:masters\n${tokens['kube-vip']},${kubeVipUser},2\n`,
    );
    const api = new RealApi(lab, pki);
    for (const node of lab.controlPlanes) api.startNode(node);
    const [rights] = await Promise.all([kubeVipRights(), api.waitReady()]);
    for (const { path: where, object } of rights) await api.client.create(where, object);
    return api;
  }

  /** The URL of a node's own server, as the other machines see it. */
  serverOf(node: Machine): string {
    return `https://${node.ipv4}:${this.port}`;
  }

  /** Starts etcd and the API server of a node, those that do not run. */
  startNode(node: Machine): void {
    this.startEtcd(node);
    this.startApiServer(node);
  }

  startEtcd(node: Machine): LabProcess {
    const slot = this.#slot(node);
    if (slot.etcd?.alive === true) return slot.etcd;
    const peer = (machine: Machine): string => `http://${machine.ipv4}:2380`;
    slot.etcd = node.start('etcd', [
      // It works little, but without it for a second its members elect another leader. Harmless where it is not allowed.
      ...['nice', '-n', '-5'],
      requireComponent('etcd'),
      `--name=${node.name}`,
      `--data-dir=${path.join(node.dir, 'etcd')}`,
      `--listen-peer-urls=${peer(node)}`,
      `--initial-advertise-peer-urls=${peer(node)}`,
      `--listen-client-urls=http://127.0.0.1:2379,http://${node.ipv4}:2379`,
      `--advertise-client-urls=http://${node.ipv4}:2379`,
      `--initial-cluster=${this.#lab.controlPlanes.map((each) => `${each.name}=${peer(each)}`).join(',')}`,
      '--initial-cluster-state=new',
      // Nothing here has to survive a power cut of the real machine.
      '--unsafe-no-fsync',
      '--log-level=warn',
    ]);
    return slot.etcd;
  }

  startApiServer(node: Machine): LabProcess {
    const slot = this.#slot(node);
    if (slot.apiserver?.alive === true) return slot.apiserver;
    const { certFile, keyFile, caFile, serviceAccountKeyFile } = this.#pki;
    const command = [
      requireComponent('kube-apiserver'),
      '--etcd-servers=http://127.0.0.1:2379',
      `--secure-port=${this.port}`,
      '--bind-address=::',
      `--advertise-address=${node.ipv4}`,
      `--tls-cert-file=${certFile}`,
      `--tls-private-key-file=${keyFile}`,
      `--client-ca-file=${caFile}`,
      `--token-auth-file=${path.join(this.#lab.dir, 'pki', 'tokens.csv')}`,
      '--authorization-mode=RBAC',
      '--anonymous-auth=true',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${serviceAccountKeyFile}`,
      `--service-account-signing-key-file=${serviceAccountKeyFile}`,
      '--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112',
      // There is no controller manager that would make the accounts.
      '--disable-admission-plugins=ServiceAccount',
      // As kubeadm starts it: masquerading needs a privileged container.
      '--allow-privileged=true',
      '--profiling=false',
      '--shutdown-delay-duration=0s',
    ];
    slot.apiserver = node.start('kube-apiserver', command, { env: apiServerEnvironment });
    return slot.apiserver;
  }

  /** The running processes of a node, to signal them. */
  processesOf(node: Machine): { readonly etcd: LabProcess; readonly apiserver: LabProcess } {
    const { etcd, apiserver } = this.#slot(node);
    if (etcd === undefined || apiserver === undefined) throw new Error(`${node.name} was never started`);
    return { etcd, apiserver };
  }

  kubeconfig(node: Machine, user: ApiUser, server = `https://127.0.0.1:${this.port}`): string {
    const file = path.join(node.dir, `${user}.conf`);
    return writeKubeconfig(file, { server, ca: this.#pki.ca, token: tokens[user], user });
  }

  async takeAway(): Promise<void> {
    await Promise.all(this.#lab.controlPlanes.map(async (node) => this.#slot(node).apiserver?.kill()));
  }

  async bringBack(): Promise<void> {
    for (const node of this.#lab.controlPlanes) this.startNode(node);
    await this.waitReady();
  }

  async restartNode(node: Machine): Promise<void> {
    this.startNode(node);
    await this.waitReady([node]);
  }

  /** Until the servers of these nodes say that they are ready. */
  async waitReady(nodes: readonly Machine[] = this.#lab.controlPlanes): Promise<void> {
    await Promise.all(nodes.map((node) => this.#waitReady(node)));
  }

  async #waitReady(node: Machine): Promise<void> {
    const isUp = (): boolean => this.processesOf(node).apiserver.alive;
    // It ends by itself when etcd is not ready in time; a kubelet would start it again, too.
    let startsLeft = 3;
    await waitFor(
      () => {
        if (!isUp() && startsLeft-- > 0) this.startNode(node);
        return this.client.ready(this.serverOf(node));
      },
      {
        what: `the API server of ${node.name}`,
        timeoutMs: 180_000,
        everyMs: 50,
        detail: () => `${this.processesOf(node).etcd.tail()}\n${this.processesOf(node).apiserver.tail()}`,
        hopeless: () => (isUp() || startsLeft > 0 ? undefined : 'kube-apiserver ended'),
      },
    );
  }

  #slot(node: Machine): { etcd: LabProcess | undefined; apiserver: LabProcess | undefined } {
    const slot = this.#processes.get(node.name) ?? { etcd: undefined, apiserver: undefined };
    this.#processes.set(node.name, slot);
    return slot;
  }
}
