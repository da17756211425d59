// Subscribes to plex://sessions with a TypeScript client, and prints a line of JSON for all that it is told.
// It leaves as its standard input ends.
// node subscribe.mjs sdk-http|sdk-sse|client-legacy|client-modern URL
const [kind, url] = process.argv.slice(2);
const URI = "plex://sessions";
const NAME = { name: "tests/node", version: "0.0.0" };
const say = (fact) => console.log(JSON.stringify(fact));

// 1.32: the older protocol only.
async function sdk(transport) {
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { ResourceUpdatedNotificationSchema } = await import("@modelcontextprotocol/sdk/types.js");
  const client = new Client(NAME);
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, (told) => hear(client, told));
  await client.connect(transport);
  await client.subscribeResource({ uri: URI });
  return client;
}

// 2.4: both eras; `mode` says which.
async function client(mode) {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const made = new Client(NAME, { versionNegotiation: { mode } });
  made.setNotificationHandler("notifications/resources/updated", (told) => hear(made, told));
  await made.connect(new StreamableHTTPClientTransport(new URL(url)));
  if (mode === "legacy") await made.subscribeResource({ uri: URI });
  else await made.listen({ resourceSubscriptions: [URI] });
  return made;
}

async function hear(client, told) {
  const { contents } = await client.readResource({ uri: told.params.uri });
  say({ uri: told.params.uri, states: JSON.parse(contents[0].text).sessions.map((session) => session.state) });
}

const ways = {
  "sdk-http": async () => {
    const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    return sdk(new StreamableHTTPClientTransport(new URL(url)));
  },
  "sdk-sse": async () => {
    const { SSEClientTransport } = await import("@modelcontextprotocol/sdk/client/sse.js");
    return sdk(new SSEClientTransport(new URL(url)));
  },
  "client-legacy": () => client("legacy"),
  "client-modern": () => client({ pin: "2026-07-28" }),
};

const connected = await ways[kind]();
say({ subscribed: URI, server: connected.getServerVersion()?.name ?? null });
process.stdin.resume().on("end", async () => {
  await connected.transport?.terminateSession?.();
  await connected.close();
});
