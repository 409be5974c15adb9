// Third-party programs: started on free ports, awaited, and stopped together with everything they started, however the
// run ends.
import { execFile, spawn } from "node:child_process";
import { existsSync, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { portsBetween } from "./ports.mjs";

export const work = process.env.WORK;
const running = new Set();

// Each program leads its own process group.
const stop = (child) => {
  running.delete(child);
  try { process.kill(-child.pid, "SIGKILL"); } catch { /* ended by itself */ }
};
process.on("exit", () => running.forEach(stop));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

/** Returns the path of a program; throws with what to install if it is missing. */
export function find(name, install, ...places) {
  const paths = [...places, ...process.env.PATH.split(":").map((one) => join(one, name)), join("/usr/sbin", name)];
  const found = paths.find((path) => path && existsSync(path));
  if (!found) throw new Error(`${name} is missing: ${install}`);
  return found;
}

/** Finds a free loopback port, in another range than `free-ports.mjs`. */
export const freePort = portsBetween(22_000, 32_000);

/** Starts a program and waits for its port; returns a function that stops it. */
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

/** Runs a program to its end, while the other targets are tried; returns its output, or throws it. */
export async function run(command, options = {}) {
  const child = promisify(execFile)(command[0], command.slice(1), options);
  child.child.stdin.end();
  const { stdout } = await child.catch(({ message, stderr, stdout }) => {
    throw new Error(`${message}\n${stderr}${stdout}`);
  });
  return stdout;
}

/** Runs a Passmint command beside the server of this run. */
export const passmint = (...words) =>
  // Without this run's environment: a variable whose name begins with PASSMINT_ would be read as a setting.
  run([process.env.PASSMINT, ...words, "--config", join(work, "passmint.toml")], { env: { PATH: process.env.PATH } });

/** Repeats `body` until it does not throw, for half a minute or for `within` milliseconds; returns what it returns. */
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
