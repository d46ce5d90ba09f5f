// An application with OpenTelemetry's SDK for Node.js and its default exporters: each signal is uploaded once. Which exporters
// those are, the environment says.

import { metrics, trace } from '@opentelemetry/api';
import { logs } from '@opentelemetry/api-logs';
import { NodeSDK } from '@opentelemetry/sdk-node';

const sdk = new NodeSDK();
sdk.start();
trace.getTracer('test').startSpan('work').end();
metrics.getMeter('test').createCounter('work').add(1);
logs.getLogger('test').emit({ body: 'work' });
await sdk.shutdown();
