/** What of a README is run: the fences, the long-running blocks, the expectations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cloneFolder, readmeBlocks, withLocalClone } from './readme-blocks.ts';

const README = `# Name

\`\`\`sh
git clone https://host.example/name.git
cd name
npm start
\`\`\`

<!-- expect: 127.0.0.1 -->

\`\`\`text
not run
\`\`\`

~~~~sh
./bin/millrace send --type a <<'END'
{}
END
~~~~
<!-- expect: first words -->
<!-- expect: second -->

\`\`\`sh
./bin/millrace listen
\`\`\`
`;

test('only sh fences are run, with their line and what is expected after them', () => {
  const blocks = readmeBlocks(README);
  assert.deepEqual(
    blocks.map(({ line, expected }) => [line, expected]),
    [
      [3, ['127.0.0.1']],
      [15, ['first words', 'second']],
      [23, []],
    ],
  );
  assert.equal(blocks[1]?.script, "./bin/millrace send --type a <<'END'\n{}\nEND");
});

test('long-running blocks are known by their command', () => {
  const [start, send, listen] = readmeBlocks(README);
  assert.ok(start?.readyPattern?.test('millrace is ready'));
  assert.equal(send?.readyPattern, null);
  assert.ok(listen?.readyPattern?.test('Listening on …'));
});

test('the clone comes from the given repository, into the folder that the next line enters', () => {
  const script = 'git clone https://host.example/name.git\ncd name';
  assert.equal(withLocalClone(script, '/tmp/a b'), "git clone -q '/tmp/a b' 'name'\ncd name");
  assert.equal(cloneFolder('git clone https://host.example/x/y'), 'y');
  assert.equal(cloneFolder('git clone https://host.example/x.git here'), 'here');
  assert.equal(cloneFolder('npm start'), null);
});
