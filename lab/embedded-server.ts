// Runs on the machine `api`: the API server in memory, over plain HTTP/2, with the port as its argument. Standard input:
// one command a line; the answer, a line of JSON, on standard output. The program that started it reads no other lines.
import { createInterface } from 'node:readline';
import { FakeApi } from '../src/testing/fake-api/index.ts';
import type { FaultEffect, FaultMatch } from '../src/testing/fake-api/index.ts';

export type ApiCommand =
  /** Breaks matching requests, so many times or until cleared. */
  | {
      readonly do: 'fail';
      readonly match: FaultMatch;
      readonly effect: FaultEffect;
      readonly times?: number;
    }
  | { readonly do: 'clear' }
  /** How many requests the faults hit that were armed so far. */
  | { readonly do: 'hits' }
  /** What was watched or listed before is too old from now on: 410. */
  | { readonly do: 'compact' }
  | { readonly do: 'end-watches' }
  /** The watches that are open hear nothing more and do not end; their connections answer PINGs. */
  | { readonly do: 'silence-watches' };

const api = new FakeApi();
const faults: { readonly hits: number }[] = [];

function obey(command: ApiCommand): number {
  switch (command.do) {
    case 'fail':
      faults.push(api.fail(command.match, command.effect, command.times));
      break;
    case 'clear':
      api.clearFaults();
      break;
    case 'compact':
      api.compact();
      break;
    case 'end-watches':
      api.endWatches();
      break;
    case 'silence-watches':
      api.silenceWatches();
      break;
    case 'hits':
  }
  return faults.reduce((sum, { hits }) => sum + hits, 0);
}

const listener = await api.listen({ host: '::', port: Number(process.argv[2]) });
console.error(`listening on ${listener.url}`);
createInterface({ input: process.stdin }).on('line', (line) => {
  console.log(obey(JSON.parse(line) as ApiCommand));
});
