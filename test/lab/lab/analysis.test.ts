import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatTable, percentile, summarise } from '../../../bench/failover/figures.ts';
import { holderReport, parseMonitor } from '../../../lab/holders.ts';
import { readPcap } from '../../../lab/pcap.ts';
import { planLab } from '../../../lab/plan.ts';
import { analyse } from '../../../lab/prober/gaps.ts';
import type { Probe } from '../../../lab/prober/gaps.ts';
import { drawTimeline } from '../../../lab/timeline.ts';

const options = { lateMs: 50, reportMs: 5, endedAt: 100 };

/** One probe a millisecond; `fate` says after how long and by whom each is answered. */
function probes(
  count: number,
  fate: (ms: number) => readonly [number, string] | undefined,
): readonly Probe[] {
  return Array.from({ length: count }, (_, ms) => {
    const answer = fate(ms);
    return { sentAt: ms, answeredAt: answer === undefined ? undefined : ms + answer[0], by: answer?.[1] };
  });
}

describe('gaps', () => {
  it('nothing lost is a gap of 0', () => {
    const report = analyse(
      probes(100, () => [1, 'a']),
      [],
      options,
    );
    assert.equal(report.longestGapMs, 0);
    assert.deepEqual(report.answers, [{ by: 'a', from: 0, to: 99, count: 100 }]);
  });

  it('a gap lasts from the first lost probe to the next answered one', () => {
    const report = analyse(
      probes(100, (ms) => (ms >= 20 && ms < 60 ? undefined : [1, ms < 20 ? 'a' : 'b'])),
      [],
      options,
    );
    assert.deepEqual(report.gaps, [{ from: 20, to: 60, lost: 40, open: false }]);
    assert.deepEqual(
      report.answers.map((each) => each.by),
      ['a', 'b'],
    );
  });

  it('a gap that never ends is open until the end of the measurement', () => {
    const report = analyse(
      probes(100, (ms) => (ms < 90 ? [1, 'a'] : undefined)),
      [],
      options,
    );
    assert.deepEqual(report.gaps, [{ from: 90, to: 100, lost: 10, open: true }]);
  });

  it('an answer after the limit counts as lost, because the kernel may have held the probe back', () => {
    const report = analyse(
      probes(100, (ms) => (ms >= 20 && ms < 60 ? [100 - ms, 'b'] : [1, 'a'])),
      [],
      options,
    );
    assert.equal(report.late, 30);
    assert.deepEqual(report.gaps, [{ from: 20, to: 50, lost: 30, open: false }]);
  });

  it('time in which the prober itself did not run is no latency', () => {
    const late = probes(100, () => [80, 'a']);
    assert.equal(analyse(late, [], options).answered, 0);
    assert.equal(analyse(late, [{ from: -10, to: 190 }], options).answered, 100);
  });
});

describe('holders', () => {
  const nodes = new Map([
    [101, 'a'],
    [102, 'b'],
  ]);
  // Captured from `ip -ts monitor address all-nsid`, iproute2 6.1.0.
  const text = [
    '[2026-11-26T01:02:25.530045] [nsid 101]2: br0    inet 10.77.0.100/32 scope global deprecated eth0',
    '       valid_lft forever preferred_lft forever',
    '[2026-11-26T01:02:25.532340] [nsid 102]2: br0    inet6 fd00:77::100/128 scope global deprecated tentative ',
    '       valid_lft forever preferred_lft 0sec',
    '[2026-11-26T01:02:25.534380] [nsid 101]Deleted 2: br0    inet 10.77.0.100/32 scope global deprecated eth0',
    '[2026-11-26T01:02:26.566974] [nsid current]3: p1    inet6 fe80::5c35:19ff:fe4d:1648/64 scope link ',
  ].join('\n');

  it('reads the monitor: time, node, address, and that a tentative address is not there yet', () => {
    const base = Date.parse('2026-11-26T01:02:25Z');
    assert.deepEqual(
      parseMonitor(text, nodes).map((event) => ({ ...event, at: Math.round((event.at - base) * 1000) })),
      [
        { at: 530_045, node: 'a', address: '10.77.0.100', present: true },
        { at: 532_340, node: 'b', address: 'fd00:77::100', present: false },
        { at: 534_380, node: 'a', address: '10.77.0.100', present: false },
      ],
    );
  });

  const event = (at: number, node: string, present: boolean) => ({ at, node, address: 'x', present });

  it('adds up times with two holders and with none', () => {
    const events = [event(0, 'a', true), event(20, 'b', true), event(25, 'a', false), event(60, 'b', false)];
    const report = holderReport(events, { from: 10, to: 100 }, new Map());
    assert.deepEqual(
      report.segments.map(({ from, to, holders }) => `${from}-${to} ${holders.join('+')}`),
      ['10-20 a', '20-25 a+b', '25-60 b', '60-100 '],
    );
    assert.deepEqual([report.twoHoldersMs, report.noHolderMs], [5, 40]);
  });

  it('a node without power holds nothing, whatever its namespace says', () => {
    const events = [event(0, 'a', true), event(50, 'b', true)];
    const report = holderReport(events, { from: 0, to: 100 }, new Map([['a', [{ from: 40, to: Infinity }]]]));
    assert.deepEqual(
      report.segments.map(({ from, to, holders }) => `${from}-${to} ${holders.join('+')}`),
      ['0-40 a', '40-50 ', '50-100 b'],
    );
  });
});

describe('captures', () => {
  it('a file cut off in the middle gives the whole frames only', () => {
    const header = Buffer.alloc(24);
    header.writeUInt32LE(0xa1b23c4d);
    const record = Buffer.alloc(16 + 42);
    record.writeUInt32LE(1, 0);
    record.writeUInt32LE(500_000_000, 4);
    record.writeUInt32LE(42, 8);
    record.write(
      'ffffffffffff0200000000010806' +
        '0001080006040001' +
        '020000000001' +
        '0a4d0064' +
        '000000000000' +
        '0a4d0064',
      16,
      'hex',
    );
    const [frame, ...others] = readPcap(Buffer.concat([header, record, record.subarray(0, 30)]));
    assert.equal(others.length, 0);
    assert.ok(frame?.kind === 'arp');
    assert.deepEqual(
      [frame.at, frame.operation, frame.senderIp, frame.targetIp, frame.destination],
      [1500, 1, '10.77.0.100', '10.77.0.100', 'ff:ff:ff:ff:ff:ff'],
    );
  });
});

describe('plan', () => {
  it('gives every machine its own name and addresses', () => {
    const plan = planLab({ id: 'kv1', subnet: 9, controlPlanes: 5, workers: 3, remote: true });
    const seats = [plan.router, plan.client, plan.api, ...plan.controlPlanes, ...plan.workers];
    for (const key of ['name', 'namespace', 'ipv4', 'ipv6', 'mac'] as const) {
      assert.equal(new Set(seats.map((seat) => seat[key])).size, seats.length, key);
    }
    assert.equal(plan.controlPlanes[0]?.ipv4, '10.9.0.11');
    assert.equal(plan.vip6(3), 'fd00:9::103');
  });
});

describe('timeline', () => {
  it('draws rows, marks and a scale', () => {
    const lines = drawTimeline({
      from: 0,
      to: 20_000,
      width: 20,
      rows: [{ label: 'a', on: [{ from: 0, to: 10_000 }], onGlyph: '#', offGlyph: '.' }],
      marks: [{ at: 10_000, label: 'gone' }],
    });
    assert.deepEqual(lines, ['             a', 'a  ##########..........', '   0s', '   a  10.0 s  gone']);
  });
});

describe('figures', () => {
  it('percentiles are values that occurred: the smallest that enough do not exceed', () => {
    const values = Array.from({ length: 20 }, (_, i) => i + 1);
    assert.deepEqual(summarise(values), { p50: 10, p90: 18, p99: 20, max: 20 });
    assert.equal(percentile([7], 0.5), 7);
    assert.ok(Number.isNaN(percentile([], 0.5)));
  });

  it('the table names failures and further figures', () => {
    const sample = { gapMs: 12.34, twoHoldersMs: 0, moved: true, extras: { afterReturnMs: 900 } };
    const table = formatTable([
      { subject: 's', scenario: 'x', title: 'what', samples: [sample], failures: ['no answer'] },
    ]);
    assert.match(table, /what +s +1 +12 +12 +12 +12 +0\.0 +0\.0 +afterReturnMs max 900; 1 failed/);
  });
});
