/** Who is here. */

import { fromAuth } from "../lib/errors.ts";
import { auth } from "./client.ts";

export interface User {
  id: string;
  email: string;
}

/** Calls back at once with the stored session, then on every change, also from another tab. */
export function watchUser(onChange: (user: User | null) => void): () => void {
  const { data } = auth().onAuthStateChange((_event, session) => {
    onChange(session ? { id: session.user.id, email: session.user.email ?? "" } : null);
  });
  return () => data.subscription.unsubscribe();
}

/** Signs up; `needsConfirmation` when the project asks people to confirm their e-mail first. */
export async function signUp(email: string, password: string, comeBackTo: string) {
  const emailRedirectTo = `${location.origin}${comeBackTo}`;
  const { data, error } = await auth().signUp({ email, password, options: { emailRedirectTo } });
  if (error) throw fromAuth(error);
  return { needsConfirmation: data.session === null };
}

export async function signIn(email: string, password: string): Promise<void> {
  const { error } = await auth().signInWithPassword({ email, password });
  if (error) throw fromAuth(error);
}

/** Ends the session on this device, also when the server cannot be told. */
export async function signOut(): Promise<void> {
  await auth().signOut({ scope: "local" });
}
