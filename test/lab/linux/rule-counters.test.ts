import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { ensurePrivilege } from '../../../lab/index.ts';
import { enterNewNamespace, openRuleCounters, systemClock } from '../../../src/linux/index.ts';
import { Poller } from '../../../src/linux/poll.ts';

const refusal = ensurePrivilege();

describe('the counters of rules', { skip: refusal?.because ?? false }, () => {
  it('are read of one table and family, and of rules that count', async () => {
    enterNewNamespace();
    const rules = `
      table ip ours {
        chain quiet { counter packets 3 bytes 120 drop comment "nobody hears"; }
        chain plain { accept comment "does not count"; }
        chain out {
          type filter hook output priority 0;
          ip daddr 127.0.0.1 counter packets 5000000000 bytes 1 accept comment "counts"
        }
      }
      table ip6 ours { chain quiet { counter packets 9 bytes 9; }; };
      table ip others { chain quiet { counter packets 7 bytes 7; }; }`;
    execFileSync('nft', ['-f', '-'], { input: rules });
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    const counters = openRuleCounters(new Poller(systemClock()));
    const read = async (family: 'ip' | 'ip6', table: string): Promise<readonly string[]> =>
      (await counters.read(family, table)).map(
        ({ chain, comment, packets }) => `${chain} "${comment}" ${packets}`,
      );
    assert.deepEqual(await read('ip', 'ours'), ['quiet "nobody hears" 3', 'out "counts" 5000000000']);
    assert.deepEqual(await read('ip6', 'ours'), ['quiet "" 9']);
    assert.deepEqual(await read('ip', 'nothing'), []);
    execFileSync('ping', ['-c', '1', '-W', '1', '127.0.0.1']);
    assert.deepEqual(await read('ip', 'ours'), ['quiet "nobody hears" 3', 'out "counts" 5000000002']);
    counters.close();
  });
});
