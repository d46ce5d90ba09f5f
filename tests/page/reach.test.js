// What of Envoy's admin interface can be reached through the page's port: its stats, as the page asks for them.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { connect as connectHttp2 } from 'node:http2';
import { after, before, test } from 'node:test';

import { Mesh } from './mesh.js';

let mesh;
before(async () => { mesh = await Mesh.start(); }, { timeout: 120_000 });
after(() => mesh?.stop(), { timeout: 60_000 });

const TIMEOUT = { timeout: 60_000 };

/** What Envoy answers to these bytes, until it closes or is silent. */
function say(bytes) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: mesh.port, host: '127.0.0.1' });
    let said = '';
    socket.setEncoding('latin1').setTimeout(1_000, () => socket.destroy());
    socket.on('data', (data) => { said += data; }).on('error', reject).on('close', () => resolve(said));
    socket.write(bytes, 'latin1');
  });
}

const head = (line, ...headers) => `${[line, ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`;
const host = () => `Host: 127.0.0.1:${mesh.port}`;
const statuses = (said) => [...said.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));

/** How many requests the route has let through to the admin interface; asked for there directly. */
async function letThrough() {
  const stat = '^cluster.admin_stats.upstream_rq_total$';
  const answer = await fetch(`http://127.0.0.1:${mesh.admin}/stats?format=json&filter=${stat}`);
  return (await answer.json()).stats[0].value;
}

/** The body of a chunked answer. */
function bodyOf(said) {
  let rest = said.slice(said.indexOf('\r\n\r\n') + 4), body = '';
  for (let size = parseInt(rest, 16); size > 0; size = parseInt(rest, 16)) {
    const begin = rest.indexOf('\r\n') + 2;
    body += rest.slice(begin, begin + size);
    rest = rest.slice(begin + size + 2);
  }
  return body;
}

/** The names of the stats in an answer; it fails if the answer is anything other than stats. */
function statNames(said) {
  return JSON.parse(bodyOf(said)).stats.flatMap((stat) =>
    (stat.name ? [stat.name] : stat.histograms.computed_quantiles.map(({ name }) => name)));
}

const ALLOWED = /^(wasmcustom\..*tracewarden_.*|http\.\w[\w-]*\.downstream_rq_total|server\.uptime)$/;

function assertPageStats(said, what) {
  const names = statNames(said);
  assert.ok(names.length > 10, `${what}: ${names}`);
  for (const name of names) assert.match(name, ALLOWED, what);
}

// Each must be refused, whatever Envoy makes of it, before the admin interface hears of it.
const REFUSED_TARGETS = [
  '/stats?', '/stats?format=prometheus', '/stats?filter=.*', '/stats?x&filter=.*', '/stats?usedonly', '/stats?#',
  '/stats/', '/stats/prometheus', '/stats/recentlookups', '/stats/recentlookups/enable', '/stats;x', '/stats,', '/stats%00',
  '/stats%2f..%2fconfig_dump', '/stats%2F', '/stats%5c..%5cconfig_dump', '/stats\\..\\config_dump', '/stats%3fformat=html',
  '/stats%3Ffilter=.*', '/stats%23', '/stats%20', '/stats/../quitquitquit', '/stats/%2e%2e/quitquitquit',
  '/stats/..%2fquitquitquit', '/stats/..;/quitquitquit', '//quitquitquit', '///quitquitquit', '/./quitquitquit',
  '/quitquitquit', '/STATS', '/statsx', '/server_info', '/config_dump', '/clusters', '/listeners', '/certs', '/memory',
  '/logging?level=trace', '/reset_counters', '/healthcheck/fail', '/drain_listeners', '/runtime', '/runtime_modify?a=b',
  '/cpuprofiler?enable=y', '/contention', '/init_dump', '/ready', '/hot_restart_version', '/help', 'stats', '*',
];

test('no other target gets through', TIMEOUT, async () => {
  const before = await letThrough();
  await Promise.all(REFUSED_TARGETS.map(async (target) => {
    const said = await say(head(`GET ${target} HTTP/1.1`, host()));
    const [status, ...more] = statuses(said);
    assert.ok([400, 404].includes(status) && more.length === 0, `${target}: ${said.slice(0, 200)}`);
  }));
  assert.equal(await letThrough(), before);
});

test('no other method gets through', TIMEOUT, async () => {
  const before = await letThrough();
  const methods = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND', 'get', 'GETX'];
  const targets = ['/stats', '/reset_counters', '/quitquitquit'];
  const lines = methods.flatMap((method) => targets.map((target) => `${method} ${target}`));
  await Promise.all([...lines, `CONNECT 127.0.0.1:${mesh.admin}`, 'CONNECT /stats'].map(async (line) => {
    const said = await say(head(`${line} HTTP/1.1`, host(), 'Content-Length: 0'));
    assert.ok([400, 403, 404].includes(statuses(said)[0]), `${line}: ${said.slice(0, 200)}`);
  }));
  assert.equal(await letThrough(), before);
});

test('a request in absolute form, for another host, or smuggled in another gets no further', TIMEOUT, async () => {
  const before = await letThrough();
  const admin = `http://127.0.0.1:${mesh.admin}`;
  const refused = [
    head(`GET ${admin}/quitquitquit HTTP/1.1`, host()),
    head(`POST ${admin}/quitquitquit HTTP/1.1`, host(), 'Content-Length: 0'),
    head(`GET ${admin}/stats?format=html HTTP/1.1`, host()),
    head('GET http://attacker.example/stats HTTP/1.1', host()),
    head('GET /stats HTTP/1.1', 'Host: attacker.example'),
    head('GET /stats HTTP/1.1', `Host: attacker.example:${mesh.port}`),
    head('GET /stats HTTP/1.1', 'Host: 127.0.0.1.attacker.example'),
    head('GET /stats HTTP/1.1', 'Host: localhost@attacker.example'),
    head('GET /stats HTTP/1.1', 'Host: '),
    head('GET /stats HTTP/1.1'),
    head('GET /stats HTTP/1.1', host(), ':path: /quitquitquit'),
    head('GET /stats HTTP/1.1', host(), 'Content-Length: 3', 'Transfer-Encoding: chunked'),
    head('GET /stats HTTP/1.1', host(), 'Upgrade: websocket', 'Sec-WebSocket-Version: 13').replace('close', 'Upgrade'),
    head('GET / HTTP/1.1', 'Host: attacker.example'),
  ];
  await Promise.all(refused.map(async (bytes) => {
    const [status, ...more] = statuses(await say(bytes));
    assert.ok([400, 403, 404].includes(status) && more.length === 0, `${bytes}: ${status} ${more}`);
  }));
  assert.equal(await letThrough(), before);

  const pipelined = `GET / HTTP/1.1\r\n${host()}\r\n\r\n${head('POST /quitquitquit HTTP/1.1', host(), 'Content-Length: 0')}`;
  assert.deepEqual(statuses(await say(pipelined)), [200, 404]);
  assert.equal(await letThrough(), before);
});

test('headers change neither what is asked for nor how', TIMEOUT, async () => {
  const before = await letThrough();
  const tricks = ['X-Original-URL: /quitquitquit', 'X-Rewrite-URL: /quitquitquit', 'X-Envoy-Original-Path: /quitquitquit',
    'X-HTTP-Method-Override: POST', 'X-Envoy-Original-Dst-Host: 127.0.0.1:1', 'X-Forwarded-Host: attacker.example',
    'X-Envoy-Upstream-Alt-Stat-Name: x', 'Content-Length: 4'];
  for (const trick of tricks) {
    const said = await say(`${head('GET /stats HTTP/1.1', host(), trick)}data`);
    assert.equal(statuses(said)[0], 200, trick);
    assertPageStats(said, trick);
  }
  assert.equal(await letThrough(), before + tricks.length);
});

test('no other web site can have a browser ask, and the page and curl can', TIMEOUT, async () => {
  const before = await letThrough();
  const ask = async (...headers) => statuses(await say(head('GET /stats HTTP/1.1', host(), ...headers)))[0];
  for (const site of ['cross-site', 'same-site', 'same-origin, cross-site', 'xnone', '1']) {
    assert.equal(await ask(`Sec-Fetch-Site: ${site}`, 'Sec-Fetch-Mode: no-cors'), 404, site);
  }
  assert.equal(await letThrough(), before);
  const own = [[], ['Sec-Fetch-Site: same-origin'], ['Sec-Fetch-Site: none']];
  for (const headers of own) assert.equal(await ask(...headers), 200);
  assert.equal(await letThrough(), before + 3);
});

test('many at once are turned away before Envoy’s main thread has them to answer', TIMEOUT, async () => {
  const answers = await Promise.all(Array.from({ length: 200 }, async () => {
    const answer = await fetch(`${mesh.url}stats`);
    await answer.arrayBuffer();
    return answer.status;
  }));
  assert.deepEqual([...new Set(answers)].sort(), [200, 503]);
  assert.equal((await fetch(`${mesh.url}stats`)).status, 200);
});

test('what normalization makes /stats of is /stats as the page asks for it', TIMEOUT, async () => {
  const before = await letThrough();
  const same = ['/stats', '/stats\t', '//stats', '/./stats', '/x/../stats', '/%73tats', '/stats#x',
    `http://localhost:${mesh.port}/stats`];
  let through = 0;
  for (const target of same) {
    const said = await say(head(`GET ${target} HTTP/1.1`, host()));
    const [status] = statuses(said);
    if (status === 200) {
      through += 1;
      assertPageStats(said, target);
    } else {
      assert.ok([400, 404].includes(status), `${target}: ${status}`);
    }
  }
  assert.ok(through >= 1);
  assert.equal(await letThrough(), before + through);
});

test('HTTP/2 opens no other way', TIMEOUT, async () => {
  const before = await letThrough();
  const session = connectHttp2(`http://127.0.0.1:${mesh.port}`);
  const status = (headers) => new Promise((resolve) => {
    const stream = session.request(headers, { endStream: true });
    stream.on('response', (response) => resolve(response[':status'])).on('error', () => resolve('reset')).resume();
  });
  try {
    for (const path of ['/quitquitquit', '/stats?filter=.*', '/stats/../config_dump', '//config_dump', '/stats%2fx']) {
      assert.ok([400, 404, 'reset'].includes(await status({ ':path': path })), path);
    }
    assert.equal(await status({ ':path': '/stats', ':method': 'POST' }), 404);
    assert.equal(await status({ ':path': '/stats', ':authority': 'attacker.example' }), 404);
    assert.equal(await letThrough(), before);
    assert.equal(await status({ ':path': '/stats' }), 200);
    assert.equal(await letThrough(), before + 1);
  } finally {
    session.close();
  }
});

test('Envoy is none the worse, and every answer may only be used as what it is', TIMEOUT, async () => {
  assert.equal((await fetch(`http://127.0.0.1:${mesh.admin}/ready`)).status, 200);
  const page = await fetch(mesh.url), stats = await fetch(`${mesh.url}stats`);
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.equal(stats.headers.get('content-type'), 'application/json');
  for (const { headers } of [page, stats]) {
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('referrer-policy'), 'no-referrer');
    assert.equal(headers.get('access-control-allow-origin'), null);
    assert.match(headers.get('content-security-policy'), /^default-src 'none'; connect-src 'self';.* frame-ancestors 'none';/);
    assert.doesNotMatch(headers.get('content-security-policy'), /unsafe|\*|https?:/);
  }
});
