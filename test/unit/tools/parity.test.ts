import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimedIds } from '../../../tools/parity/claims.ts';
import { renderParity, unknownIds } from '../../../tools/parity/page.ts';

test('ids are claimed by titles, also several in one and in templates', () => {
  const source = `
    // CP-01 is only a comment
    test('CP-02 CP-03 two lines', () => { assert.ok(true, 'see CP-04'); });
    test(\`CP-05 \${name}\`, () => undefined);
    const bare = 'CP-07';
    const rows = [{ title: 'CP-06 a row' }];
  `;
  assert.deepEqual(claimedIds(source, 'a.test.ts'), ['CP-02', 'CP-03', 'CP-05', 'CP-06']);
});

test('the page names the files, and a dash where there is none', () => {
  const lines = { Section: { 'CP-02': 'this', 'CP-03': 'that' } };
  const page = renderParity(lines, new Map([['CP-02', ['test/unit/a/b.test.ts']]]));
  assert.match(page, /^1 of 2 lines have a test\.$/m);
  assert.match(page, /^\| CP-02 \| this \| \[unit\/a\/b\]\(\.\.\/test\/unit\/a\/b\.test\.ts\) \|$/m);
  assert.match(page, /^\| CP-03 \| that \| — \|$/m);
});

test('an id nobody wrote down is found', () => {
  assert.deepEqual(unknownIds({ Section: { 'CP-02': 'this' } }, new Map([['CP-99', ['a']]])), ['CP-99']);
});
