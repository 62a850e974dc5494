import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { step } from '../../../src/election/machine/machine.ts';
import type { Step } from '../../../src/election/machine/machine.ts';
import type { Effect, State, StepResult } from '../../../src/election/machine/types.ts';
import { tenureMs } from '../../../src/election/timings.ts';
import { firstViolation } from './runs.ts';
import type { RunsOptions } from './runs.ts';

interface Mutant {
  readonly what: string;
  readonly step: Step;
  readonly caughtAs: RegExp;
  readonly options?: Partial<RunsOptions>;
}

/** Moves the end of a tenure by `ms(result)`, in the state and in what the driver is told. */
function prolong(result: StepResult, ms: (state: State) => number): StepResult {
  const { phase } = result.state;
  if (phase.at !== 'holding') return result;
  const validUntil = phase.validUntil + ms(result.state);
  const effects = result.effects.map((effect): Effect =>
    effect.do === 'acquired' || effect.do === 'renewed' ? { ...effect, validUntil } : effect,
  );
  const renewed = result.effects.some((effect) => effect.do === 'acquired' || effect.do === 'renewed');
  return renewed
    ? { ...result, effects, state: { ...result.state, phase: { ...phase, validUntil } } }
    : result;
}

const mutants: readonly Mutant[] = [
  {
    what: 'tenure measured from the answer instead of the request',
    step: (settings, state, event, context) =>
      prolong(step(settings, state, event, context), () =>
        state.call === undefined ? 0 : context.now - state.call.sentAt,
      ),
    caughtAs: /two holders/,
    // With usual timings the margin between deadline and duration hides it.
    options: {
      timings: { leaseDurationMs: 5000, renewDeadlineMs: 4400, retryPeriodMs: 1000 },
      rateSpread: 0,
    },
  },
  {
    what: 'a tenure as long as the lease',
    step: (settings, state, event, context) =>
      prolong(step(settings, state, event, context), () => settings.leaseDurationMs - tenureMs(settings)),
    caughtAs: /two holders/,
  },
  {
    what: 'no look at the deadline before an event',
    step: (settings, state, event, context) => {
      const { phase } = state;
      const blind = phase.at === 'holding' && !(event.kind === 'timer' && event.name === 'deadline');
      const now = blind ? Math.min(context.now, phase.validUntil - 1) : context.now;
      return step(settings, state, event, { ...context, now });
    },
    caughtAs: /two holders/,
    options: { only: ['pause'] },
  },
  {
    what: 'the record released before the VIP is gone',
    step: (settings, state, event, context) => {
      const result = step(settings, state, event, context);
      const effects = [...result.effects].sort(
        (a, b) => Number(b.do === 'update') - Number(a.do === 'update'),
      );
      return { ...result, effects };
    },
    caughtAs: /released the record before the VIP was gone/,
  },
  {
    what: 'candidates that wait half the duration',
    step: (settings, state, event, context) => {
      const result = step(settings, state, event, context);
      const { phase } = result.state;
      if (phase.at !== 'following' || phase.seen.kind !== 'lease') return result;
      const { seen } = phase;
      const halved = { ...seen, freeAt: Math.min(seen.freeAt, seen.since + 2500) };
      const effects = result.effects.map((effect): Effect =>
        effect.do === 'arm' && effect.name === 'take'
          ? { ...effect, ms: Math.max(0, halved.freeAt - context.now) }
          : effect,
      );
      return { ...result, effects, state: { ...result.state, phase: { ...phase, seen: halved } } };
    },
    caughtAs: /two holders/,
  },
  {
    what: 'a holder that does not watch its lease',
    step: (settings, state, event, context) =>
      event.kind === 'watched' && state.phase.at === 'holding'
        ? { state, effects: [], reason: 'stale-watch', ignored: true }
        : step(settings, state, event, context),
    caughtAs: /two holders/,
    options: { only: ['holder overwritten by hand'], watch: true },
  },
  {
    what: 'an election that ends with its first loss',
    step: (settings, state, event, context) => {
      const result = step(settings, state, event, context);
      const lost = result.effects.some(
        (effect) => effect.do === 'lost' && effect.reason === 'renew-deadline',
      );
      return lost ? { ...result, effects: [...result.effects, { do: 'finished' }] } : result;
    },
    caughtAs: /ended by itself/,
  },
  {
    what: 'a candidate that stops polling after a failed read',
    step: (settings, state, event, context) => {
      const result = step(settings, state, event, context);
      const failed = event.kind === 'result' && !event.outcome.ok && state.phase.at === 'following';
      const effects = failed ? result.effects.filter((effect) => effect.do !== 'arm') : result.effects;
      return { ...result, effects };
    },
    caughtAs: /after the faults ended: 0 holders/,
    options: { watch: false },
  },
  {
    what: 'conflicts retried without pause',
    step: (settings, state, event, context) => {
      const result = step(settings, state, event, context);
      const effects = result.effects.map((effect): Effect =>
        effect.do === 'arm' && (effect.name === 'poll' || effect.name === 'renew')
          ? { ...effect, ms: 0 }
          : effect,
      );
      return { ...result, effects };
    },
    caughtAs: /calls in|busy/,
  },
];

describe('the simulation notices', () => {
  test('nothing in the same runs of the right machine', async () => {
    for (const { options } of mutants) {
      assert.equal(await firstViolation({ firstSeed: 1, runs: 60, ...options }), undefined);
    }
  });

  for (const mutant of mutants) {
    test(mutant.what, async (t) => {
      const options = { firstSeed: 1, runs: 1000, ...mutant.options, step: mutant.step };
      const found = await firstViolation(options);
      assert.ok(found !== undefined, 'no run broke an invariant');
      assert.match(found.text, mutant.caughtAs);
      t.diagnostic(`seed ${found.seed}: ${found.text}`);
    });
  }
});
