import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { ensurePrivilege } from '../../../lab/index.ts';
import { enterNewNamespace, openNftables, systemClock } from '../../../src/linux/index.ts';
import type { NftRule, NftStep } from '../../../src/linux/index.ts';
import { AttributeTable, text, u32be } from '../../../src/linux/netlink/attributes.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../../../src/linux/netlink/message.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../../../src/linux/netlink/socket.ts';
import type { NetlinkRequest } from '../../../src/linux/netlink/socket.ts';
import { NlWriter } from '../../../src/linux/netlink/wire.ts';
import { Poller } from '../../../src/linux/poll.ts';

const refusal = ensurePrivilege();
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const NFT_MSG_NEWTABLE = (10 << 8) | 0;
const NFPROTO_INET = 1;
const tableAttributes = new AttributeTable('nftables table', { name: [1, text], flags: [2, u32be] });

function header(family: number, resource = 0): NlWriter {
  return new NlWriter().u8(family).u8(0).u16(resource, false);
}

function edge(type: number): NetlinkRequest {
  return { doing: { op: 'batch' }, type, payload: header(0, 10).done(), ack: false };
}

function newTable(name: string): NetlinkRequest {
  const writer = header(NFPROTO_INET);
  tableAttributes.encode(writer, { name });
  return {
    doing: { op: 'add table', object: name },
    type: NFT_MSG_NEWTABLE,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    payload: writer.done(),
  };
}

function tables(): string {
  return execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }).trim();
}

describe('an nfnetlink batch', { skip: refusal?.because ?? false }, () => {
  it('takes effect as a whole or not at all, and names the message that failed', () => {
    enterNewNamespace();
    const socket = new NetlinkSocket(NETLINK_NETFILTER, new Poller(systemClock()));
    const batch = (...names: readonly string[]) =>
      socket.transact([edge(NFNL_MSG_BATCH_BEGIN), ...names.map(newTable), edge(NFNL_MSG_BATCH_END)]);
    assert.deepEqual(
      batch('first').map(({ error }) => error),
      [undefined, undefined, undefined],
    );
    assert.equal(tables(), 'table inet first');
    const errors = batch('second', 'first').map(({ error }) => error?.message);
    assert.equal(errors[2], 'add table first: file already exists (EEXIST)');
    assert.equal(tables(), 'table inet first');
    socket.close();
  });

  it('may be of any size, and tells of a refusal at its end all the same', () => {
    enterNewNamespace();
    const nftables = openNftables(new Poller(systemClock()));
    const table = { family: 'ip' as const, table: 'large' };
    const rules = Array.from({ length: 12_000 }, (_, i): NftStep => {
      const expressions: NftRule['expressions'] = [{ op: 'verdict', verdict: 'accept' }];
      return { do: 'add rule', ...table, chain: 'many', rule: { comment: `number ${i}`, expressions } };
    });
    nftables.commit([
      { do: 'add table', ...table },
      { do: 'add chain', ...table, chain: { name: 'many', rules: [] } },
      ...rules,
    ]);
    const list = (): string =>
      execFileSync('nft', ['list', 'table', 'ip', 'large'], { encoding: 'utf8', maxBuffer: 1 << 26 });
    assert.equal(list().split('accept').length - 1, rules.length);
    const [wrong] = rules;
    assert.ok(wrong !== undefined);
    const refused = [...rules, { ...wrong, chain: 'missing' }] as readonly NftStep[];
    assert.throws(() => {
      nftables.commit(refused);
    }, /ENOENT/);
    assert.equal(list().split('accept').length - 1, rules.length);
    nftables.close();
  });
});
