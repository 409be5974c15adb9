// The conformance suite's REST API, as far as these tests need it.
export class Suite {
  constructor(address) {
    this.address = address;
  }

  async call(method, path, query = {}, body = undefined) {
    const url = new URL(`/api/${path}`, this.address);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    const headers = { "content-type": typeof body === "string" ? "text/plain" : "application/json" };
    const response = await fetch(url, { method, headers, body: typeof body === "object" ? JSON.stringify(body) : body });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${url.pathname}: ${response.status} ${text.slice(0, 500)}`);
    return text ? JSON.parse(text) : undefined;
  }

  /** Creates a plan; returns its `id` and its `modules`. */
  plan(planName, variant, configuration) {
    return this.call("POST", "plan", { planName, variant: variant && JSON.stringify(variant) }, configuration);
  }

  /** Starts a module of a plan; returns its id. */
  async start(plan, test, variant) {
    return (await this.call("POST", "runner", { test, plan, variant: JSON.stringify(variant ?? {}) })).id;
  }

  /** Continues a module that is waiting to be started. */
  go(id) {
    return this.call("POST", `runner/${id}`);
  }

  /** Returns the `status` of a module, and the `next` page that its browser must open. */
  async state(id) {
    const { status } = await this.call("GET", `info/${id}`);
    if (status !== "WAITING") return { status };
    const { browser } = await this.call("GET", `runner/${id}`);
    return { status, next: browser?.urlsWithMethod?.[0] };
  }

  visited(id, url) {
    return this.call("POST", `runner/browser/${id}/visit`, { url });
  }

  /** Returns the log entries that still want a screenshot, with the module's description of each. */
  async pictures(id) {
    const log = await this.call("GET", `log/${id}`);
    return log.filter(({ upload }) => upload).map(({ upload, msg }) => ({ place: upload, msg }));
  }

  send(id, place, png) {
    return this.call("POST", `log/${id}/images/${place}`, {}, `data:image/png;base64,${png.toString("base64")}`);
  }

  /**
   * Returns the outcome of a module: its `result`, whether that is the suite's own `verdict`, and in `told` everything
   * that is not a success.
   */
  async result(id) {
    const { status, result } = await this.call("GET", `info/${id}`);
    const log = await this.call("GET", `log/${id}`);
    const told = log.filter((line) => ["WARNING", "FAILURE"].includes(line.result) || line.src === "-ERROR-")
      .map(({ result, src, msg, requirements }) => `${result} ${src}: ${msg} [${requirements ?? ""}]`);
    return { id, verdict: ended(status), result: status === "FINISHED" ? result : `${status}`, told };
  }
}

/** Whether a module has ended. */
export const ended = (status) => status === "FINISHED" || status === "INTERRUPTED";
