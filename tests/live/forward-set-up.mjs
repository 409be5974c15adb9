// Writes the configurations of nginx, Caddy and Traefik, from the very blocks that the docs tell readers to copy:
// forward-set-up.mjs <folder> <nginx port> <caddy port> <traefik port> <app port> <passmint port>
import { readFileSync, writeFileSync } from "node:fs";

const [folder, nginx, caddy, traefik, app, passmint] = process.argv.slice(2);
const page = readFileSync(new URL("../../docs/bridges/forward-auth.md", import.meta.url), "utf8");
const addresses = [["127.0.0.1:8080", `127.0.0.1:${passmint}`], ["127.0.0.1:3000", `127.0.0.1:${app}`]];

/** Returns the nth block under a heading, with this run's changes; throws if the block lacks a text to replace. */
function block(heading, changes, nth = 0) {
  let text = page.split(`## ${heading}\n`)[1].split("\n## ")[0].split("```")[2 * nth + 1].replace(/^\w*\n/, "");
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`the docs' set-up of ${heading} says ${from} no more`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** The server block of a host. */
const server = (host) => block("nginx", [
  ...addresses, ["listen 443 ssl", `listen 127.0.0.1:${nginx}`], ["set $passmint_host app.example.com", `set $passmint_host ${host}:${nginx}`],
  ["app.example.com", host],
]);
// One process under the current user, and no files outside its folder.
writeFileSync(`${folder}/nginx.conf`, `daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/nginx-${name};`).join("\n    ")}
${server("nginx.localhost")}
${server("open.localhost")}
}
`);
// With the signed header, as the text below the block describes: removed from the request, copied from Passmint's
// answer.
const site = block("Caddy", [
  ...addresses,
  ["app.example.com", `http://caddy.localhost:${caddy}`],
  ["request_header -Remote*", "request_header -Remote*\n            request_header -X-Passmint-Assertion"],
  ["copy_headers Remote-User", "copy_headers X-Passmint-Assertion Remote-User"],
]);
writeFileSync(`${folder}/Caddyfile`, `{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}\n\n${site}`);

// Traefik's two files: the static configuration, with its update check off, and the routes, with the signed header
// copied.
writeFileSync(`${folder}/traefik.yml`, `global: { checkNewVersion: false }\n${block("Traefik", [
  ['address: ":443"', `address: "127.0.0.1:${traefik}"`], ["      tls: {}", "      # no TLS"], ["/etc/traefik/", `${folder}/`],
])}`);
writeFileSync(`${folder}/passmint-routes.yml`, block("Traefik", [
  ...addresses, ["app.example.com", "traefik.localhost"],
  ["authResponseHeaders: [Remote-User", "authResponseHeaders: [X-Passmint-Assertion, Remote-User"],
], 1));
