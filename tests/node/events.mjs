// Subscribes a webhook with the AI SDK and receives it with the AI SDK, and prints a line of JSON for all that happens.
// Each line of standard input is a step: refresh, or unsubscribe. It leaves as its standard input ends.
// node events.mjs URL TOKEN EVENT
import http from "node:http";
import readline from "node:readline";
import { createMCPClient, experimental_createMCPEventWebhook as createWebhook } from "@ai-sdk/mcp";

const [url, token, name] = process.argv.slice(2);
const say = (fact) => console.log(JSON.stringify(fact));

const kept = new Map();
const store = {
  get: async (key) => kept.get(key),
  getById: async (id) => [...kept.values()].find((one) => one.id === id),
  set: async (one) => void kept.set(one.key, one),
  update: async (key, patch) => void kept.set(key, { ...kept.get(key), ...patch }),
  delete: async (key) => void kept.delete(key),
};
const receive = createWebhook({
  store,
  onEvent: async ({ subscription, event }) => say({ received: event, subscription: subscription.id }),
  onError: (error) => say({ error: String(error) }),
});

const server = http.createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const address = `http://${request.headers.host}${request.url}`;
  const answer = await receive(
    new Request(address, { method: request.method, headers: request.headers, body: Buffer.concat(parts) }),
  );
  response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(Buffer.from(await answer.arrayBuffer()));
});
await new Promise((bound) => server.listen(0, "127.0.0.1", bound));

const client = await createMCPClient({
  transport: { type: "http", url, headers: { Authorization: `Bearer ${token}` } },
  experimental_events: { store },
});
const events = client.experimental_events;
const listed = await events.list();
say({ listed: listed.events.map((event) => event.name) });
const hook = `http://127.0.0.1:${server.address().port}/hook`;
const { id } = await events.subscribe({ name, delivery: { mode: "webhook", url: hook, allowInsecureLocalhost: true } });
say({ subscribed: id });

for await (const step of readline.createInterface({ input: process.stdin })) {
  const answer = await events[step]({ id });
  say({ [step]: answer?.id ?? null });
}
await client.close();
server.close();
server.closeAllConnections();
