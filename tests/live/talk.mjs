// A text conversation with a program over TCP.
import { connect } from "node:net";

/**
 * Connects; returns `say(text)`, `hear(pattern)`, which waits for a match and drops everything up to its end, and
 * `end()`.
 */
export function talk(port) {
  const socket = connect(port, "127.0.0.1").setEncoding("utf8").setTimeout(20_000);
  let came = "";
  let over = "";
  let look = () => {};
  const ended = (why) => {
    over ||= why;
    socket.destroy();
    look();
  };
  socket.on("data", (text) => { came += text; look(); });
  socket.on("error", (error) => ended(error.message));
  socket.on("timeout", () => ended("nothing came for 20 s"));
  socket.on("close", () => ended("the connection was closed"));
  const hear = (pattern) => new Promise((resolve, reject) => {
    look = () => {
      const found = came.match(pattern);
      if (found) {
        came = came.slice(found.index + found[0].length);
        look = () => {};
        resolve(found);
      } else if (over) {
        reject(new Error(`${over}, and before: ${came}`));
      }
    };
    look();
  });
  return { say: (text) => socket.write(text), hear, end: () => socket.end() };
}
