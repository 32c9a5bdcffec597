/**
 * On Linux a container reaches this machine by the address of Docker's bridge, and our servers listen on loopback only, which is
 * as it should be. This lets containers, and nobody outside the machine, through to them.
 */
export type Relay = { stop: () => void };

/** Null where the address is none of ours: Docker Desktop's machine reaches loopback by itself. */
export function startRelay(address: string, port: number): Relay | null {
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ hostname: address, port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrNotAvailable) return null;
    throw error;
  }
  const open = new Set<Deno.TcpConn>();
  void accept(listener, port, open);
  return {
    stop: () => {
      listener.close();
      for (const connection of [...open]) close(connection, open);
    },
  };
}

async function accept(listener: Deno.TcpListener, port: number, open: Set<Deno.TcpConn>) {
  try {
    for await (const client of listener) void carry(client, port, open);
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

async function carry(client: Deno.TcpConn, port: number, open: Set<Deno.TcpConn>): Promise<void> {
  open.add(client);
  let server: Deno.TcpConn | null = null;
  try {
    server = await Deno.connect({ hostname: "127.0.0.1", port });
    open.add(server);
    // Either side may end what it says and still listen.
    await Promise.all([
      client.readable.pipeTo(server.writable),
      server.readable.pipeTo(client.writable),
    ]);
  } catch {
    // One of them is gone, which the other learns by its connection ending.
  } finally {
    close(client, open);
    if (server) close(server, open);
  }
}

function close(connection: Deno.TcpConn, open: Set<Deno.TcpConn>): void {
  open.delete(connection);
  try {
    connection.close();
  } catch {
    // Already.
  }
}
