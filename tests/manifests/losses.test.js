// What docs/broken-trace.md says of SDKs: how an application loses the trace context, and that each fix sends it on.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { sides, traffic } from './cost.js';
import { running } from './envoy.js';
import { inRepository, tool } from './support.js';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;
const PATIENCE_MS = 120_000;
const VERDICTS = { 'no context': 'lost', 'a trace of its own': 'unlinked' };

/** Each application: its source, how it is run, and what its calls have. */
const APPLICATIONS = {
  javascript: {
    source: 'losses/node.js',
    command: () => [process.execPath, inRepository('tests/manifests/losses/node.js')],
    calls: { client: 'no context', worker: 'a trace of its own', queue: 'a trace of its own' },
  },
  python: {
    source: 'losses/losses.py',
    command: () => [tool('INTEROP_PYTHON'), '-B', inRepository('tests/manifests/losses/losses.py')],
    calls: {
      client: 'no context',
      threads: 'a trace of its own',
      asyncio: 'a trace of its own',
      queue: 'a trace of its own',
    },
  },
  go: {
    source: 'losses/go/main.go',
    command: process.env.GO_LOSSES && (() => [tool('GO_LOSSES')]),
    calls: {
      client: 'no context',
      context: 'a trace of its own',
      goroutine: 'a trace of its own',
      queue: 'a trace of its own',
    },
  },
  java: {
    source: 'losses/java/Losses.java',
    command:
      process.env.JAVA_LOSSES &&
      (() => ['java', '-cp', `${tool('JAVA_LOSSES')}/*`, inRepository('tests/manifests/losses/java/Losses.java')]),
    calls: { client: 'no context', executor: 'a trace of its own', async: 'a trace of its own' },
  },
  rust: {
    source: 'losses/rust/main.rs',
    command: process.env.RUST_LOSSES && (() => [tool('RUST_LOSSES')]),
    calls: { client: 'no context', spawn: 'a trace of its own' },
  },
};

/** What an application sends while it serves a request of the trace, by the path. */
async function calls(command) {
  const found = {};
  const server = createServer((request, response) => {
    const { traceparent } = request.headers;
    const traceId = traceparent?.split('-')[1];
    found[request.url.slice(1)] = !traceparent ? 'no context' : traceId === TRACE_ID ? 'the trace' : 'a trace of its own';
    response.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run(command, `http://127.0.0.1:${server.address().port}`);
    return found;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function run([command, ...parameters], address) {
  // Exporters of an SDK's own would upload to a collector that is not there.
  const env = { ...process.env, TRACEPARENT, OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' };
  const child = spawn(command, [...parameters, address], { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const status = await new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  clearTimeout(timer);
  assert.equal(status, 0, command);
}

/** What sidecar-observe says of the same calls, beside a request of the trace that came in. */
function verdicts(command) {
  return running(sides(true), async ({ admin, ports }) => {
    await traffic(ports.inbound, 1, { traceparent: TRACEPARENT });
    await run(command, `http://127.0.0.1:${ports.outbound}`);
    const { stats } = await (await fetch(`http://${admin}/stats?format=json&filter=outbound.*tracewarden_requests_total`)).json();
    const counted = stats.filter(({ value }) => value > 0).map(({ name, value }) => [name.match(/context=\.=(\w+);/)[1], value]);
    return Object.fromEntries(counted);
  });
}

// `make test-sdks` builds those for Go, Java and Rust, because not every machine has them.
for (const [language, { command, calls: broken }] of Object.entries(APPLICATIONS).filter(([, { command }]) => command)) {
  test(`the context is lost as the document says, and each fix sends it on: ${language}`, async () => {
    const expected = Object.entries(broken).flatMap(([name, outcome]) => [
      [`${name}-broken`, outcome],
      [`${name}-fixed`, 'the trace'],
    ]);
    assert.deepEqual(await calls(command()), Object.fromEntries(expected));
  });

  test(`the verdicts are those of the document: ${language}`, async () => {
    const expected = { continued: Object.keys(broken).length };
    for (const outcome of Object.values(broken)) expected[VERDICTS[outcome]] = (expected[VERDICTS[outcome]] ?? 0) + 1;
    assert.deepEqual(await verdicts(command()), expected);
  });
}

const code = (text) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);

test('the lines that the document shows are those that are run', () => {
  const document = readFileSync(inRepository('docs/broken-trace.md'), 'utf8');
  let compared = 0;
  for (const [language, { source }] of Object.entries(APPLICATIONS)) {
    const lines = code(readFileSync(inRepository(`tests/manifests/${source}`), 'utf8'));
    const blocks = document.split(`\n\`\`\`${language}\n`).slice(1);
    assert.notEqual(blocks.length, 0, language);
    for (const block of blocks) {
      for (const line of code(block.split('\n```')[0]).filter((line) => !/^(\/\/|#)/.test(line))) {
        compared++;
        assert.ok(lines.includes(line), `${source} has no line ${line}`);
      }
    }
  }
  assert.ok(compared > 20, `${compared} lines`);
});
