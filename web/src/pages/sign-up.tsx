import { useMutation } from "@tanstack/react-query";
import { Navigate } from "react-router";
import { signUp } from "../api/index.ts";
import { AuthForm, AuthFrame } from "../components/auth-form.tsx";
import { Notice } from "../components/notice.tsx";
import { TextLink } from "../components/text-link.tsx";
import { useNext } from "../hooks/use-next.ts";
import { useSession } from "../hooks/use-session.tsx";
import { useTitle } from "../hooks/use-title.ts";
import { withNext } from "../lib/paths.ts";

export default function SignUpPage() {
  useTitle("Sign up");
  const session = useSession();
  const { next, planName } = useNext();
  const mutation = useMutation({
    mutationFn: ({ email, password }: { email: string; password: string }) =>
      signUp(email, password, next),
  });
  if (session.status === "signed-in") return <Navigate to={next} replace />;

  const footer = (
    <>
      Already have an account? <TextLink to={withNext("/sign-in", next)}>Sign in</TextLink>
    </>
  );
  if (mutation.data?.needsConfirmation) {
    return (
      <AuthFrame title="Check your inbox" lead="One step is left." footer={footer}>
        <Notice tone="good" title={`We wrote to ${mutation.variables.email}`}>
          Open the link in that message to confirm your address. You can close this page.
        </Notice>
      </AuthFrame>
    );
  }
  return (
    <AuthForm
      title="Create your account"
      lead={planName
        ? `Then we go on to ${planName}. Nothing is charged before you confirm it.`
        : "Free to begin with. No card is asked for."}
      submitLabel="Create account"
      password="new-password"
      pending={mutation.isPending}
      error={mutation.error}
      onSubmit={(email, password) => mutation.mutate({ email, password })}
      footer={footer}
    />
  );
}
