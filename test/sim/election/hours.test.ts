import { test } from 'node:test';
import { assertClean } from './runs.ts';
import { World } from './world/world.ts';

/** SIM_HOURS and SIM_SEED choose how long and which (`SIM_SEED=$RANDOM` others); a seed that fails fails again. */
const hours = Number(process.env['SIM_HOURS'] ?? 24);
const seed = Number(process.env['SIM_SEED'] ?? 1);
const clusters = 8;
const episodeMs = 10 * 60_000;

test(`${hours} simulated hours of the election under faults, seed ${seed}`, async (t) => {
  let simulatedMs = 0;
  let tenures = 0;
  let twoHoldersMs = 0;
  for (let index = 0; index < clusters; index++) {
    const episodes = Math.ceil((hours * 3.6e6) / clusters / episodeMs);
    const report = await new World({ seed: seed + index, faultsMs: episodeMs, episodes }).run();
    assertClean(report);
    simulatedMs += report.simulatedMs;
    tenures += report.tenures;
    twoHoldersMs += report.twoHoldersMs;
  }
  const simulated = (simulatedMs / 3.6e6).toFixed(1);
  const exceptions = (twoHoldersMs / 1000).toFixed(1);
  t.diagnostic(
    `${simulated} h, ${tenures} tenures, two holders ${exceptions} s, all after a hand on the lease`,
  );
});
