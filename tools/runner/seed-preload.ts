import fc from 'fast-check';

/**
 * Loaded before a test file that has properties, by the test command: one seed for all, so that the verdict on a commit
 * does not depend on the day. `npm run fuzz` draws new ones.
 */
fc.configureGlobal({ seed: 1 });
