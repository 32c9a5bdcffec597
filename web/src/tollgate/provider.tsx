import { type QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { connect, type Connection } from "../api/index.ts";
import { SessionProvider } from "../hooks/use-session.tsx";
import { createQueryClient } from "../lib/query.ts";
import { type Host, HostProvider, PlainLink } from "./host.tsx";

export interface TollgateProviderProps extends Connection, Partial<Host> {
  /** The app's own cache, where everything in it may be kept under our keys too; otherwise we have one of our own. */
  queries?: QueryClient;
  children: ReactNode;
}

/**
 * Everything of Tollgate's is drawn within it. The client is the app's own Supabase client: who is signed in there is
 * who pays here.
 *
 * @example
 * <TollgateProvider client={supabase} schema="tollgate"><App /></TollgateProvider>
 */
export function TollgateProvider(props: TollgateProviderProps) {
  const { client, schema, functionsPrefix, queries, children } = props;
  const { Link = PlainLink, contactEmail = null } = props;
  // Not in an effect: the queries of what is within begin in theirs, which come first.
  useMemo(() => connect({ client, schema, functionsPrefix }), [client, schema, functionsPrefix]);
  const [own] = useState(() => queries ?? createQueryClient());
  const host = useMemo(() => ({ Link, contactEmail }), [Link, contactEmail]);
  return (
    <HostProvider value={host}>
      <QueryClientProvider client={queries ?? own}>
        <SessionProvider>{children}</SessionProvider>
      </QueryClientProvider>
    </HostProvider>
  );
}
