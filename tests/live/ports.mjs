// Free ports of the loopback. They are below those that the system gives to outgoing connections and to whoever asks for
// any port (`ip_local_port_range`, from 32768): one of these could be taken between looking and listening.
import { createServer } from "node:net";

const free = (port) =>
  new Promise((resolve) => {
    const server = createServer().on("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

/** Gives one free port after the other between two, beginning anywhere there; none twice before all were looked at. */
export function portsBetween(first, last) {
  let next = first + Math.floor(Math.random() * (last - first));
  return async () => {
    for (let tries = first; tries < last; tries++) {
      const port = next;
      next = port + 1 < last ? port + 1 : first;
      if (await free(port)) return port;
    }
    throw new Error(`no port between ${first} and ${last} is free`);
  };
}
