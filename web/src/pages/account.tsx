import { LogOut } from "lucide-react";
import { useState } from "react";
import { CreditsSection } from "../components/account/credits-section.tsx";
import { DataSection } from "../components/account/data-section.tsx";
import { InvoicesSection } from "../components/account/invoices-section.tsx";
import { NoticesSection } from "../components/account/notices-section.tsx";
import { OverageSection } from "../components/account/overage-section.tsx";
import { PlanSection } from "../components/account/plan-section.tsx";
import { ReturnNotice } from "../components/account/return-notice.tsx";
import { Page, Section } from "../components/page.tsx";
import { ErrorNotice } from "../components/notice.tsx";
import { ThemeChoice } from "../components/theme-choice.tsx";
import { Button } from "../components/ui/button.tsx";
import { TextLink } from "../components/text-link.tsx";
import { UsageMeters } from "../components/usage-meters.tsx";
import { useSession, useSignOut } from "../hooks/use-session.tsx";
import { useTitle } from "../hooks/use-title.ts";
import { useUsage } from "../hooks/use-usage.ts";

export default function AccountPage() {
  useTitle("Account");
  const session = useSession();
  const email = session.status === "signed-in" ? session.user.email : "";
  return (
    <Page title="Account" lead={email}>
      <ReturnNotice />
      <PlanSection />
      <UsageSection />
      <OverageSection />
      <CreditsSection />
      <InvoicesSection />
      <NoticesSection />
      <Section title="Appearance">
        <div>
          <ThemeChoice />
        </div>
      </Section>
      <Section title="Session">
        <SignOut />
      </Section>
      <DataSection />
    </Page>
  );
}

function UsageSection() {
  const { error, refetch } = useUsage();
  return (
    <Section
      title="Usage"
      actions={<TextLink to="/usage" className="text-sm">Usage by day</TextLink>}
    >
      {error
        ? <ErrorNotice error={error} onRetry={refetch} />
        : (
          <div className="grid items-start gap-x-10 gap-y-6 sm:grid-cols-2">
            <UsageMeters />
          </div>
        )}
    </Section>
  );
}

function SignOut() {
  const signOut = useSignOut();
  const [leaving, setLeaving] = useState(false);
  const leave = () => {
    setLeaving(true);
    void signOut();
  };
  return (
    <div className="grid justify-items-start gap-2">
      <p className="text-sm text-muted">Drafts on this device are cleared when you sign out.</p>
      <Button variant="outline" pending={leaving} onClick={leave}>
        <LogOut aria-hidden />
        Sign out
      </Button>
    </div>
  );
}
