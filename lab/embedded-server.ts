// Runs on the machine `api`: the API server in memory, over plain HTTP/2, with the port as its argument.
import { FakeApi } from '../src/testing/fake-api/index.ts';

const listener = await new FakeApi().listen({ host: '::', port: Number(process.argv[2]) });
console.log(`listening on ${listener.url}`);
