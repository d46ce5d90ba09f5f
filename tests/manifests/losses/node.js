// The ways in which an application on Node.js loses the trace context, and the fixes: docs/broken-trace.md shows these lines.
//
//   node.js ADDRESS     calls ADDRESS/NAME for each of them, while it serves the request of the context in TRACEPARENT

import { ROOT_CONTEXT, context, propagation, trace } from '@opentelemetry/api';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { NodeSDK } from '@opentelemetry/sdk-node';

const address = process.argv[2];
const url = (name) => `${address}/${name}`;

// What a framework's instrumentation does with an incoming request.
const serve = (handler) =>
  context.with(propagation.extract(ROOT_CONTEXT, { traceparent: process.env.TRACEPARENT }), () =>
    trace.getTracer('test').startActiveSpan('request', (span) => handler().finally(() => span.end())),
  );

await fetch(url('client-broken'));

const sdk = new NodeSDK({
  traceExporter: { export: (_, done) => done({ code: 0 }), shutdown: async () => {} },
  instrumentations: [new UndiciInstrumentation()],
});
sdk.start();

await serve(async () => {
  await fetch(url('client-fixed'));
});

// A worker that was started before any request came.
const jobs = [];
const worker = setInterval(() => {
  for (const job of jobs.splice(0)) job();
}, 5);

await serve(
  () =>
    new Promise((done) => {
      jobs.push(() => fetch(url('worker-broken')).then(done));
    }),
);

await serve(
  () =>
    new Promise((done) => {
      jobs.push(context.bind(context.active(), () => fetch(url('worker-fixed')).then(done)));
    }),
);

// A message queue: what a consumer knows is what the message holds.
let consume;

const message = { body: 'order 7', headers: {} };
consume = async () => {
  await fetch(url('queue-broken'));
};
await consume(message);

await serve(async () => {
  propagation.inject(context.active(), message.headers);
});
consume = async ({ headers }) => {
  await context.with(propagation.extract(ROOT_CONTEXT, headers), async () => {
    await fetch(url('queue-fixed'));
  });
};
await consume(message);

clearInterval(worker);
await sdk.shutdown();
