// RabbitMQ with its OAuth 2 plugin: the token as bearer token of the management API and as password of AMQP and MQTT.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import amqplib from "amqplib";
import mqtt from "mqtt";

import { check } from "../harness.mjs";
import { find, freePort, start, work } from "../program.mjs";

export async function rabbitmq({ user, mint, expired, origin }) {
  const broker = await check("rabbitmq: a broker of its own starts", boot);
  if (!broker) return;
  const whoami = async (token) => {
    const response = await fetch(`http://127.0.0.1:${broker.management}/api/whoami`, { headers: { authorization: `Bearer ${token}` } });
    return { status: response.status, body: await response.json() };
  };
  const late = expired("rabbitmq-brief");

  await check("rabbitmq: the management API knows the person by the token", async () => {
    const { status, body } = await whoami(await mint("rabbitmq"));
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.name, user);
    assert.deepEqual(body.tags, ["management"]);
  });

  await check("rabbitmq: a token for another broker, a broken one and those for other targets are refused", async () => {
    const good = await mint("rabbitmq");
    for (const token of [await mint("rabbitmq-elsewhere"), `${good.slice(0, -4)}AAAA`, await mint("proxy"), await mint("postgrest")]) {
      assert.equal((await whoami(token)).status, 401, token);
    }
  });

  const dial = (password) => amqplib.connect({ hostname: "127.0.0.1", port: broker.amqp, username: "x", password, vhost: "/" });

  await check("rabbitmq, amqp: a person publishes and receives through what bears the own name", async () => {
    const connection = await dial(await mint("rabbitmq"));
    const channel = await connection.createConfirmChannel();
    const own = `user-${user}`;
    await channel.assertExchange(own, "fanout", { durable: false, autoDelete: true });
    await channel.assertQueue(own, { durable: false, autoDelete: true });
    await channel.bindQueue(own, own, "");
    const received = new Promise((resolve) => channel.consume(own, (message) => resolve(`${message.content}`), { noAck: true }));
    channel.publish(own, "", Buffer.from("hi"));
    await channel.waitForConfirms();
    assert.equal(await received, "hi");
    await connection.close();
  });

  await check("rabbitmq, amqp: nothing that bears another's name, and no tokens for another broker", async () => {
    const connection = await dial(await mint("rabbitmq"));
    connection.on("error", () => {});
    for (const refused of [
      (channel) => channel.assertQueue("user-00000000-0000-4000-8000-000000000001", { durable: false }),
      (channel) => channel.assertExchange(`user-${user}-and-more`, "fanout", { durable: false }),
      (channel) => channel.consume("mqtt-subscription-anybody", () => {}),
    ]) {
      const channel = await connection.createChannel();
      channel.on("error", () => {});
      await assert.rejects(refused(channel), /ACCESS_REFUSED/);
    }
    await connection.close();
    for (const token of [await mint("rabbitmq-elsewhere"), await mint("postgrest"), "not a token"]) {
      await assert.rejects(dial(token), /ACCESS_REFUSED|ACCESS-REFUSED|403/);
    }
  });

  // The broker names a client's queue after the client id, and the token grants only its person's queues.
  const connect = (password, owner = user) =>
    mqtt.connectAsync(`mqtt://127.0.0.1:${broker.mqtt}`, {
      clientId: `${owner}-${randomUUID()}`, username: "x", password, reconnectPeriod: 0, connectTimeout: 10_000,
    });

  await check("rabbitmq, mqtt: a person publishes and receives under the own topic", async () => {
    const client = await connect(await mint("mqtt"));
    const received = new Promise((resolve) => client.once("message", (topic, message) => resolve(`${topic} ${message}`)));
    await client.subscribeAsync(`${user}/#`, { qos: 1 });
    await client.publishAsync(`${user}/hello`, "hi", { qos: 1 });
    assert.equal(await received, `${user}/hello hi`);
    await client.endAsync();
  });

  await check("rabbitmq, mqtt: a publish under another's topic ends the connection", async () => {
    const client = await connect(await mint("mqtt"));
    const closed = new Promise((resolve) => client.once("close", resolve));
    client.publish("00000000-0000-4000-8000-000000000001/hello", "hi", { qos: 1 }, () => {});
    await closed;
    await client.endAsync(true);
  });

  await check("rabbitmq, mqtt: under the client id of somebody else nobody subscribes", async () => {
    const client = await connect(await mint("mqtt"), "00000000-0000-4000-8000-000000000001");
    const closed = new Promise((resolve) => client.once("close", resolve));
    // The topic is the person's own: it is the other person's queue that is refused.
    client.subscribe(`${user}/#`, { qos: 1 }, () => {});
    await closed;
    await client.endAsync(true);
  });

  await check("rabbitmq, mqtt: no connection with a token for another broker", async () => {
    const token = await mint("rabbitmq-elsewhere");
    await assert.rejects(connect(token));
    await assert.rejects(connect("not a token"));
  });

  await check("rabbitmq: an expired token is refused by all three", async () => {
    const token = await late;
    assert.equal((await whoami(token)).status, 401);
    await assert.rejects(connect(token));
    await assert.rejects(dial(token));
  });
  assert.ok(origin);
}

async function boot() {
  const home = "/usr/lib/rabbitmq/lib";
  find("rabbitmq-server", "install the package rabbitmq-server");
  const release = readdirSync(home).find((name) => name.startsWith("rabbitmq_server-"));
  const directory = join(work, "rabbitmq");
  mkdirSync(directory, { mode: 0o700 });
  const [amqp, management, mqttPort, dist, epmd] = await Promise.all(Array.from({ length: 5 }, freePort));
  writeFileSync(join(directory, "rabbitmq.conf"), `
listeners.tcp.1 = 127.0.0.1:${amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = ${management}
mqtt.listeners.tcp.1 = 127.0.0.1:${mqttPort}
auth_backends.1 = rabbit_auth_backend_oauth2
auth_oauth2.resource_server_id = rabbitmq
auth_oauth2.signing_keys.live = ${join(work, "bridges.pub.pem")}
auth_oauth2.default_key = live
auth_oauth2.algorithms.1 = RS256
`);
  writeFileSync(join(directory, "plugins"), "[rabbitmq_management,rabbitmq_auth_backend_oauth2,rabbitmq_mqtt].\n");
  const env = {
    ...process.env, HOME: directory, RABBITMQ_MNESIA_BASE: directory, RABBITMQ_LOG_BASE: directory,
    RABBITMQ_CONFIG_FILE: join(directory, "rabbitmq"), RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, "plugins"),
    RABBITMQ_NODENAME: `live${dist}@localhost`, RABBITMQ_DIST_PORT: `${dist}`, ERL_EPMD_PORT: `${epmd}`, ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_PID_FILE: join(directory, "pid"), RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+S 1:1", PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
  };
  // A port mapper of its own, in the foreground: one that Erlang starts would keep running.
  await start("epmd", [find("epmd", "install the package erlang-base"), "-port", `${epmd}`, "-address", "127.0.0.1"], { env }, epmd);
  await start("rabbitmq", [join(home, release, "sbin", "rabbitmq-server")], { env, cwd: directory }, mqttPort, 120);
  return { amqp, management, mqtt: mqttPort };
}
