import { useMutation } from "@tanstack/react-query";
import { Navigate } from "react-router";
import { signIn } from "../api/index.ts";
import { AuthForm } from "../components/auth-form.tsx";
import { TextLink } from "../components/text-link.tsx";
import { useNext } from "../hooks/use-next.ts";
import { useSession } from "../hooks/use-session.tsx";
import { useTitle } from "../hooks/use-title.ts";
import { withNext } from "../lib/paths.ts";

export default function SignInPage() {
  useTitle("Sign in");
  const session = useSession();
  const { next, planName } = useNext();
  const mutation = useMutation({
    mutationFn: ({ email, password }: { email: string; password: string }) =>
      signIn(email, password),
  });
  if (session.status === "signed-in") return <Navigate to={next} replace />;
  return (
    <AuthForm
      title="Welcome back"
      lead={planName ? `Sign in, and we go on to ${planName}.` : "Sign in to go on."}
      submitLabel="Sign in"
      password="current-password"
      pending={mutation.isPending}
      error={mutation.error}
      onSubmit={(email, password) => mutation.mutate({ email, password })}
      footer={
        <>
          New here? <TextLink to={withNext("/sign-up", next)}>Create an account</TextLink>
        </>
      }
    />
  );
}
