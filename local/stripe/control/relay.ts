/**
 * The door in front of the server: a relay of bytes, which exists to be able to drop a connection without an answer, as
 * a network does. (A server of Deno can only answer.)
 */

const NOISE = new TextEncoder().encode("\r\n\r\nlost");

export class Relay {
  #listener: Deno.TcpListener;
  #server: number;
  /** By the port the relay speaks from to the server: the connection of the client it speaks for. */
  #clients = new Map<number, Deno.TcpConn>();
  #all = new Set<Deno.TcpConn>();
  #accepting: Promise<void>;

  constructor(port: number, server: number) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port });
    this.#server = server;
    this.#accepting = this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /**
   * Breaks the client's connection behind the request that came from `from`: a few bytes that are no answer, then the
   * end. Without them Deno's `fetch` and the SDK would both quietly send the request again, and a test could not say
   * how often its code sees the failure.
   */
  async drop(from: number): Promise<void> {
    const client = this.#clients.get(from);
    this.#clients.delete(from);
    if (!client) return;
    await client.write(NOISE).catch(() => 0);
    this.#close(client);
  }

  async stop(): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const connection of [...this.#all]) this.#close(connection);
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) void this.#carry(client);
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  async #carry(client: Deno.TcpConn): Promise<void> {
    this.#all.add(client);
    try {
      const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#server });
      this.#all.add(server);
      client.setNoDelay(true);
      server.setNoDelay(true);
      const { port } = server.localAddr;
      this.#clients.set(port, client);
      await Promise.allSettled([
        client.readable.pipeTo(server.writable),
        server.readable.pipeTo(client.writable),
      ]);
      this.#clients.delete(port);
      this.#close(server);
    } catch {
      // The server is stopping: the client's connection closes with it.
    }
    this.#close(client);
  }

  #close(connection: Deno.TcpConn): void {
    this.#all.delete(connection);
    try {
      connection.close();
    } catch {
      // It was closed by its own streams already.
    }
  }
}
