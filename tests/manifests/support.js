// What the tests share: the repository, the tools that `make manifests` names, and the manifests as kustomize renders them.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { parse, parseAllDocuments } from 'yaml';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ISTIO = inRepository('envoy/istio');
/** An image that a user might have. */
export const IMAGE = { url: 'oci://registry.example/shop/tracewarden:0.1.0', sha256: '0123456789abcdef'.repeat(4) };

export function inRepository(path) {
  return join(ROOT, path);
}

/** A YAML file of the repository. */
export function readYaml(path) {
  return parse(readFileSync(inRepository(path), 'utf8'), { merge: true });
}

/** A tool, by the variable in which `make manifests` names it. */
export function tool(variable) {
  const path = process.env[variable];
  if (!path || !existsSync(path)) throw new Error(`${variable} names no file: run make manifests`);
  return path;
}

/** What the filter says of a configuration: whether it is valid, and which variables it ignores. */
export function check(config, environment) {
  const { stdout } = spawnSync(tool('TRACEWARDEN'), ['--json', 'check', '-'], {
    encoding: 'utf8',
    env: environment,
    input: JSON.stringify(config),
  });
  const { valid, warnings } = JSON.parse(stdout);
  return { valid, ignored: warnings.filter(({ code }) => code === 'TW0201') };
}

/** A server of these pages, for as long as `use` takes. */
export async function served(pages, use) {
  const server = createServer(({ url }, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(pages[url]);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use(`127.0.0.1:${server.address().port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** Every directory that renders something alone, by its path under envoy/istio. */
export const CASES = readdirSync(ISTIO, { recursive: true })
  .filter((path) => path.endsWith('kustomization.yaml'))
  .filter((path) => readYaml(`envoy/istio/${path}`).kind !== 'Component')
  .map((path) => path.replace('/kustomization.yaml', ''))
  .sort();

/** What `kubectl kustomize` makes of a directory. */
export function render(directory) {
  const text = execFileSync(tool('KUBECTL'), ['kustomize', directory], { encoding: 'utf8' });
  return parseAllDocuments(text).map((document) => document.toJS());
}

/** Where a plugin says what it loads; nothing of another document. */
export function moduleOf({ kind, spec }) {
  return { WasmPlugin: spec, TrafficExtension: spec?.wasm }[kind];
}

/** A case as users render it: with an image of their own. */
export function renderCase(name) {
  const documents = render(join(ISTIO, name));
  for (const module of documents.map(moduleOf).filter(Boolean)) Object.assign(module, IMAGE);
  return documents;
}

/** Every document of Istio's that is rendered, with the case that it is of. */
export const DOCUMENTS = CASES.flatMap((name) => renderCase(name).map((document) => ({ case: name, document }))).filter(
  ({ document }) => document.apiVersion.includes('istio.io/'),
);

/** Every plugin among them, whatever the resource that holds it. */
export const PLUGINS = DOCUMENTS.flatMap((rendered) =>
  pluginsIn(rendered.document).map((plugin) => ({
    ...plugin,
    case: rendered.case,
    title: `${rendered.case}: ${rendered.document.kind} ${rendered.document.metadata.name}, ${plugin.config?.direction}`,
  })),
);

function pluginsIn({ kind, spec }) {
  switch (kind) {
    case 'WasmPlugin':
      return [fromSpec(spec, spec)];
    case 'TrafficExtension':
      return [fromSpec(spec, spec.wasm)];
    case 'EnvoyFilter':
      return spec.configPatches.map(fromPatch);
    default:
      return [];
  }
}

function fromSpec(spec, wasm) {
  const modes = { SERVER: 'inbound', CLIENT: 'outbound' };
  return {
    spec,
    wasm,
    config: wasm.pluginConfig,
    environment: Object.fromEntries(wasm.vmConfig.env.filter(({ value }) => value).map(({ name, value }) => [name, value])),
    ofPod: wasm.vmConfig.env.filter(({ valueFrom }) => valueFrom === 'HOST').map(({ name }) => name),
    failure: wasm.failStrategy,
    listener: spec.match && modes[spec.match[0].mode],
  };
}

function fromPatch({ match, patch }) {
  const contexts = { SIDECAR_INBOUND: 'inbound', SIDECAR_OUTBOUND: 'outbound' };
  const { config } = patch.value.typed_config;
  return {
    filter: patch.value,
    config: JSON.parse(config.configuration.value),
    environment: config.vm_config.environment_variables.key_values,
    ofPod: config.vm_config.environment_variables.host_env_keys,
    failure: config.failure_policy,
    listener: contexts[match.context],
  };
}
