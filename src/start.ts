import { join } from 'node:path';
import { compileBundle, runBundle } from './bundle.ts';

// What the launcher starts: this file beside the bundle.
const bundle = join(__dirname, 'kube-vip.js');
runBundle(compileBundle(bundle), bundle);
