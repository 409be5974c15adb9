// Prints as many free loopback ports as asked for. All are held open together, so that they differ; the last one's next
// neighbour is not needed by anybody, because the server's second listener is off.
import { createServer } from "node:net";

const servers = await Promise.all(
  Array.from({ length: Number(process.argv[2]) }, () =>
    new Promise((resolve, reject) => {
      const server = createServer().on("error", reject);
      server.listen(0, "127.0.0.1", () => resolve(server));
    }),
  ),
);
console.log(servers.map((server) => server.address().port).join(" "));
for (const server of servers) server.close();
