import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { requireComponent } from './components.ts';
import type { Machine } from './machine.ts';
import { Supervised } from './supervised.ts';

/** keepalived on a node, for comparison: one VRRPv3 instance on eth0, supervised like the daemon. */
export function startKeepalived(node: Machine, rank: number, vip: string, advertSeconds: number): Supervised {
  const file = (suffix: string): string => path.join(node.dir, `keepalived.${suffix}`);
  const config = `
global_defs {
  router_id ${node.name}
  vrrp_version 3
}
vrrp_instance lab {
  state BACKUP
  nopreempt
  interface eth0
  virtual_router_id 77
  priority ${150 - rank}
  advert_int ${advertSeconds}
  virtual_ipaddress {
    ${vip}/32 dev eth0
  }
}
`;
  writeFileSync(file('conf'), config);
  const pidFiles = [file('pid'), file('vrrp.pid')];
  const [main = '', vrrp = ''] = pidFiles;
  const options = ['--dont-fork', '--log-console', '--log-detail', '--vrrp'];
  const command = [requireComponent('keepalived'), ...options, '-f', file('conf'), '-p', main, '-r', vrrp];
  return new Supervised(node, 'keepalived', command, {
    // Left by a SIGKILL, they would stop the next start.
    prepare: () => pidFiles.forEach((each) => rmSync(each, { force: true })),
  });
}
