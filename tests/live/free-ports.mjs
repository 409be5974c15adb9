// Prints as many free loopback ports as asked for.
import { portsBetween } from "./ports.mjs";

const next = portsBetween(12_000, 22_000);
const ports = [];
while (ports.length < Number(process.argv[2])) ports.push(await next());
console.log(ports.join(" "));
