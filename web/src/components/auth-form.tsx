import { type FormEvent, type ReactNode, useRef, useState } from "react";
import { Link } from "react-router";
import { explain, toApiError } from "../lib/errors.ts";
import { Logo } from "./logo.tsx";
import { ErrorNotice } from "./notice.tsx";
import { ConnectivityBanner } from "./connectivity-banner.tsx";
import { Button } from "./ui/button.tsx";
import { TextField } from "./ui/field.tsx";

interface AuthFormProps {
  title: string;
  lead: ReactNode;
  submitLabel: string;
  /** Tells the password manager whether to fill in or to make a new one. */
  password: "current-password" | "new-password";
  pending: boolean;
  error: Error | null;
  onSubmit: (email: string, password: string) => void;
  footer: ReactNode;
}

const MIN_PASSWORD = 6;

/** E-mail and password. Uncontrolled, so that what a password manager fills in is always read. */
export function AuthForm(props: AuthFormProps) {
  const form = useRef<HTMLFormElement>(null);
  const [problems, setProblems] = useState<{ email?: string; password?: string }>({});
  const isNew = props.password === "new-password";

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const email = String(data.get("email") ?? "").trim();
    const password = String(data.get("password") ?? "");
    const found = check(email, password, isNew);
    setProblems(found);
    if (found.email) return focusOn("email");
    if (found.password) return focusOn("password");
    props.onSubmit(email, password);
  };
  const focusOn = (name: string) =>
    form.current?.querySelector<HTMLInputElement>(`[name=${name}]`)?.focus();
  const emailProblem = problems.email ?? emailErrorOf(props.error);

  return (
    <AuthFrame title={props.title} lead={props.lead} footer={props.footer}>
      <form ref={form} noValidate onSubmit={submit} className="grid gap-5">
        <TextField
          label="E-mail"
          name="email"
          type="email"
          autoComplete={isNew ? "email" : "username"}
          autoCapitalize="none"
          spellCheck={false}
          required
          error={emailProblem}
        />
        <TextField
          label="Password"
          name="password"
          type="password"
          autoComplete={props.password}
          minLength={isNew ? MIN_PASSWORD : undefined}
          required
          hint={isNew ? `At least ${MIN_PASSWORD} characters.` : undefined}
          error={problems.password}
        />
        {props.error && <ErrorNotice error={props.error} />}
        <Button type="submit" size="lg" pending={props.pending}>{props.submitLabel}</Button>
      </form>
    </AuthFrame>
  );
}

function check(email: string, password: string, isNew: boolean) {
  return {
    email: /^\S+@\S+\.\S+$/.test(email) ? undefined : "Enter your e-mail address.",
    password: password === ""
      ? "Enter your password."
      : isNew && password.length < MIN_PASSWORD
      ? `Use at least ${MIN_PASSWORD} characters.`
      : undefined,
  };
}

function emailErrorOf(error: Error | null): string | null {
  if (!error) return null;
  return toApiError(error).code === "email_address_invalid" ? explain(error).title : null;
}

/** The frame that signing in and signing up share. */
export function AuthFrame(
  { title, lead, footer, children }: {
    title: string;
    lead: ReactNode;
    footer: ReactNode;
    children: ReactNode;
  },
) {
  return (
    <div className="flex min-h-dvh flex-col">
      <ConnectivityBanner />
      <div aria-hidden className="barrier h-2" />
      <header className="px-5 py-4">
        <Link to="/" aria-label="Tollgate, home" className="rounded-lg">
          <Logo />
        </Link>
      </header>
      <main className="mx-auto grid w-full max-w-sm flex-1 content-start gap-8 px-5 pt-[7vh] pb-16">
        <div className="grid gap-2">
          <h1 className="text-3xl font-semibold tracking-[-0.035em]">{title}</h1>
          <p className="text-muted">{lead}</p>
        </div>
        {children}
        <p className="text-sm text-muted">{footer}</p>
      </main>
    </div>
  );
}
