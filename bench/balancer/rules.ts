import type { Ip, Mac } from '../../src/lib/ip.ts';

/** What a hand-written rule set needs to know. */
export interface RuleFacts {
  readonly vip: Ip;
  readonly ports: readonly { readonly port: number; readonly servers: readonly ServerFacts[] }[];
  /** Of the node that holds the VIP. */
  readonly mac: Mac;
}

export interface ServerFacts {
  readonly ipv4: Ip;
  readonly mac: Mac;
}

/**
 * The shortest rules that do the same for the packets that pass: destination translated by turns, source
 * translated to the VIP. None for local clients and none against packets that nobody knows.
 */
export function translatingRules({ vip, ports }: RuleFacts): string {
  const dnat = ports.map(({ port, servers }) => {
    const map = servers.map(({ ipv4 }, turn) => `${turn} : ${ipv4} . ${port}`).join(', ');
    return `ip daddr ${vip} tcp dport ${port} dnat ip to numgen inc mod ${servers.length} map { ${map} }`;
  });
  return `
table ip byhand {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ${dnat.join('\n    ')}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    ct status dnat snat to ${vip}
  }
}
`;
}

/** How long direct return remembers a flow that is quiet; as the program has it. */
const memory = '15m';

/**
 * The shortest rules with turns and a flow memory that lasts as long as there are packets. They know no
 * end of a connection: the memory keeps it until its time has run out.
 */
export function directReturnRules({ vip, ports, mac }: RuleFacts): string {
  const flow = 'ip saddr . tcp sport';
  const paths = ports.map(({ port, servers }) => {
    const macs = servers.map((server, turn) => `${turn} : ${server.mac}`).join(', ');
    return {
      map: `map flows_${port} { type ipv4_addr . inet_service : mark; flags dynamic,timeout; timeout ${memory}; size 262144; }`,
      pass: `ip daddr ${vip} tcp dport ${port} goto to_${port}`,
      chain: `chain to_${port} {
    tcp flags & (syn | ack) == syn meta mark set numgen inc mod ${servers.length} update @flows_${port} { ${flow} : meta mark }
    meta mark set ${flow} map @flows_${port}
    update @flows_${port} { ${flow} : meta mark }
    ether saddr set ${mac} ether daddr set meta mark map { ${macs} } fwd to eth0
  }`,
    };
  });
  return `
table netdev byhand {
  ${paths.map(({ map }) => map).join('\n  ')}
  ${paths.map(({ chain }) => chain).join('\n  ')}
  chain ingress {
    type filter hook ingress device eth0 priority 0
    ${paths.map(({ pass }) => pass).join('\n    ')}
  }
}
`;
}
