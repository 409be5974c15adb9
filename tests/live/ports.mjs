// Free loopback ports. They are below the range that the system uses for outgoing connections and for port 0
// (`ip_local_port_range`, from 32768): a port of that range could be taken between the check and the listen.
import { createServer } from "node:net";

const free = (port) =>
  new Promise((resolve) => {
    const server = createServer().on("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

/**
 * Returns a function that finds the next free port in a range, starting at a random one; no port comes twice before all
 * were tried.
 */
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
