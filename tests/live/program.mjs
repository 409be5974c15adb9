// Programs of others: started on free ports, waited for, and stopped with everything they started, whatever the end.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { portsBetween } from "./ports.mjs";

export const work = process.env.WORK;
const running = new Set();

// Each program leads a group of its own.
const stop = (child) => {
  running.delete(child);
  try { process.kill(-child.pid, "SIGKILL"); } catch { /* ended by itself */ }
};
process.on("exit", () => running.forEach(stop));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

/** The path of a program; throws what to install when it is not there. */
export function find(name, install, ...places) {
  const paths = [...places, ...process.env.PATH.split(":").map((one) => join(one, name)), join("/usr/sbin", name)];
  const found = paths.find((path) => path && existsSync(path));
  if (!found) throw new Error(`${name} is missing: ${install}`);
  return found;
}

/** A port of the loopback that nobody listens on; none of those that `free-ports.mjs` gives. */
export const freePort = portsBetween(22_000, 32_000);

/** Starts a program and waits for its port; gives a function that stops it. */
export async function start(name, command, options, port, seconds = 60) {
  const log = join(work, `${name}.log`);
  const out = openSync(log, "a");
  const child = spawn(command[0], command.slice(1), { detached: true, stdio: ["ignore", out, out], ...options });
  running.add(child);
  let ended = "";
  child.on("error", (error) => { ended = error.message; });
  child.on("exit", (code, signal) => { ended = `exit ${code ?? signal}`; });
  const deadline = Date.now() + seconds * 1000;
  while (!(await answers(port))) {
    if (ended || Date.now() > deadline) {
      stop(child);
      const last = readFileSync(log, "utf8").split("\n").slice(-12).join("\n");
      throw new Error(`${name} ${ended || `was not ready after ${seconds} s`}\n${last}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return () => stop(child);
}

/** Runs a program to its end; gives what it printed, or throws it. */
export function run(command, options = {}) {
  const done = spawnSync(command[0], command.slice(1), { encoding: "utf8", ...options });
  if (done.status !== 0) throw new Error(`${command[0]}: ${done.error?.message ?? ""}${done.stderr}${done.stdout}`);
  return done.stdout;
}

/** A command of Passmint's, beside the server of this run. */
export const passmint = (...words) =>
  // Without what is in the environment for this run: a name that begins with PASSMINT_ would be a setting.
  run([process.env.PASSMINT, ...words, "--config", join(work, "passmint.toml")], { env: { PATH: process.env.PATH } });

/** Tries for half a minute, or as many milliseconds as are given; gives what the try gives that throws nothing. */
export async function until(body, within = 30_000) {
  for (const deadline = Date.now() + within; ;) {
    try {
      return await body();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => { socket.destroy(); resolve(true); });
    socket.on("error", () => resolve(false));
  });
}
