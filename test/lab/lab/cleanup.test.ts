import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { Lab, ensurePrivilege, labsFolder, listNamespaces, waitFor } from '../../../lab/index.ts';
import { identify, isAlive } from '../../../lab/proc.ts';

const refused = ensurePrivilege();
const traces = async (id: string): Promise<readonly string[]> => [
  ...(await listNamespaces()).filter((name) => name.startsWith(`${id}-`)),
  ...(existsSync(path.join(labsFolder(), id)) ? [path.join(labsFolder(), id)] : []),
];

describe('lab clean-up', { skip: refused?.because ?? false }, () => {
  it('stop leaves no namespace, process or file', async () => {
    const lab = await Lab.start({ controlPlanes: 1 });
    const sleeper = lab.node(0).start('sleeper', ['sh', '-c', 'sleep 1000 & wait']);
    assert.notDeepEqual(await traces(lab.id), []);
    await lab.stop();
    assert.deepEqual(await traces(lab.id), []);
    assert.equal(sleeper.alive, false);
  });

  it('a lab whose owner is killed with SIGKILL is gone soon after, a paused process included', async () => {
    const index = new URL('../../../lab/index.ts', import.meta.url).href;
    const script = `
      import { Lab } from '${index}';
      const lab = await Lab.start({ controlPlanes: 1 });
      const sleeper = lab.node(0).start('sleeper', ['sleep', '1000']);
      sleeper.signal('SIGSTOP');
      console.log(JSON.stringify({ id: lab.id, pid: sleeper.pid }));
      setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await owner.stdout.take(1).toArray()) as readonly Buffer[];
    const { id, pid } = JSON.parse(String(line)) as { id: string; pid: number };
    const sleeper = identify(pid);
    assert.ok(sleeper !== undefined);
    assert.notDeepEqual(await traces(id), []);
    owner.kill('SIGKILL');
    await waitFor(async () => (await traces(id)).length === 0, { what: 'the reaper', timeoutMs: 60_000 });
    assert.equal(isAlive(sleeper), false);
  });
});
