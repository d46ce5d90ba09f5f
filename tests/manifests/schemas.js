// Istio's and the Prometheus operator's published schemas, made strict: what a schema does not know is refused, as `kubectl apply --validate=strict`
// would.

import { WasmPlugin } from '@kubernetes-models/istio/extensions.istio.io/v1alpha1';
import { EnvoyFilter } from '@kubernetes-models/istio/networking.istio.io/v1alpha3';
import { Telemetry } from '@kubernetes-models/istio/telemetry.istio.io/v1';
import { PodMonitor, PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';

const MODELS = { WasmPlugin, EnvoyFilter, Telemetry, PodMonitor, PrometheusRule };

/** What holds anything as far as the schema knows; the filter's own reader and Envoy judge these. */
const FREE = [/^spec\.pluginConfig\./, /^spec\.configPatches\.\d+\.patch\.value\./];

/** What is wrong with a document; nothing if it is valid. */
export function problems(document) {
  if (document.kind === 'TrafficExtension') return problemsOfTrafficExtension(document);
  const Model = MODELS[document.kind];
  if (!Model) return [`no schema of ${document.kind}`];
  const read = new Set();
  try {
    // The validator alone: a model's constructor would read everything, to copy it.
    Model.prototype.validate.call(watched(document, '', read));
  } catch (error) {
    return [error.message];
  }
  return fields(document)
    .filter((path) => !read.has(path) && !FREE.some((free) => free.test(path)))
    .map((path) => `unknown field ${path}`);
}

/** What a TrafficExtension says of WebAssembly. */
const WASM =
  'url sha256 imagePullPolicy imagePullSecret pluginConfig pluginName failStrategy vmConfig type'.split(' ');

/**
 * The published package is made of Istio 1.29, and TrafficExtension came with 1.30. Its fields are those of a WasmPlugin,
 * what is about WebAssembly within `wasm`; so they are put back, and judged there.
 */
function problemsOfTrafficExtension({ spec, ...document }) {
  const { wasm, ...rest } = spec;
  return [
    ...beyond('spec.', rest, ['selector', 'targetRefs', 'phase', 'priority', 'match']),
    ...beyond('spec.wasm.', wasm, WASM),
    ...problems({ ...document, kind: 'WasmPlugin', spec: { ...rest, ...wasm } }),
  ];
}

function beyond(where, value, known) {
  return Object.keys(value).filter((name) => !known.includes(name)).map((name) => `unknown field ${where}${name}`);
}

/**
 * The same value, which notes what is read of it. The package has validators and no schemas; but a validator looks at every
 * field that it knows, so a field that it never looked at is unknown.
 */
function watched(value, path, read) {
  if (value === null || typeof value !== 'object') return value;
  return new Proxy(value, {
    get(target, name) {
      read.add(path + String(name));
      return watched(target[name], `${path}${String(name)}.`, read);
    },
    ownKeys(target) {
      Object.keys(target).forEach((name) => read.add(path + name));
      return Reflect.ownKeys(target);
    },
  });
}

/** The path of everything in a value. */
function fields(value, path = '') {
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([name, inner]) => [path + name, ...fields(inner, `${path}${name}.`)]);
}
