// The peer that GitHub apps are written with; its own server, its signature check, an empty handler.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.env.PEERS}/index.js`));
const { Probot, Server } = await import(pathToFileURL(require.resolve("probot")).href);
const { generateKeyPairSync } = await import("node:crypto");
const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
});
const server = new Server({
  Probot: Probot.defaults({ appId: 1, privateKey, secret: process.env.SECRET, logLevel: "fatal" }),
  host: "127.0.0.1",
  port: Number(process.env.PORT),
  webhookPath: "/webhook",
  logLevel: "fatal",
});
await server.load((app) => {
  app.on("issues", () => undefined);
});
await server.start();
console.log(`http://127.0.0.1:${process.env.PORT}/webhook`);
