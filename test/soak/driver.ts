import { setTimeout as sleep } from 'node:timers/promises';
import { apiDraws } from './api-faults.ts';
import { nodeDraws } from './node-faults.ts';
import { serviceDraws } from './service-steps.ts';
import { insist, oneOf, upTo, type Scene, type Step } from './steps.ts';

/** Faults that are there at the same time. */
const maxFaults = 2;

/** Takes random steps, one after the other; what users do waits its turn, and is tried until it succeeds. */
export class Driver {
  /** What was done and when, milliseconds of the wall clock. */
  readonly done: { readonly at: number; readonly text: string }[] = [];
  readonly #scene: Scene;
  #edits: Promise<void> = Promise.resolve();
  readonly #faults = new Set<Promise<void>>();

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** So many steps, then everything undone. */
  async round(steps: number): Promise<void> {
    const { random } = this.#scene;
    for (let n = 0; n < steps; n++) {
      this.#take();
      // Often at once: what happens within a moment is what nobody has thought of.
      await sleep(oneOf(random, [0, 0, 5, 50, 200, 600, 1500]));
    }
    await Promise.all(this.#faults);
    await this.#edits;
  }

  #take(): void {
    const { random } = this.#scene;
    const isFault = random() < 0.35;
    const draws = isFault ? oneOf(random, [nodeDraws, apiDraws]) : serviceDraws;
    const step = oneOf(random, draws)(this.#scene);
    // Its random numbers are used up all the same, so that a replay draws alike.
    if (step === undefined) return;
    if (isFault) this.#break(step);
    else this.#edits = this.#edits.then(() => this.#edit(step));
  }

  async #edit(step: Step): Promise<void> {
    this.note(step.text);
    await insist(step.text, step.act);
  }

  #break(step: Step): void {
    if (this.#faults.size >= maxFaults) return;
    this.note(step.text);
    const run = async (): Promise<void> => {
      await step.act();
      if (step.undo === undefined) return;
      await sleep(step.undo.afterMs);
      await step.undo.act();
      this.note(`over: ${step.text}`);
    };
    const fault = run().finally(() => this.#faults.delete(fault));
    this.#faults.add(fault);
  }

  note(text: string): void {
    this.done.push({ at: Date.now(), text });
  }

  /** A pause between rounds, or none. */
  async breathe(): Promise<void> {
    await sleep(upTo(this.#scene.random, 0, 1) * 300);
  }
}
