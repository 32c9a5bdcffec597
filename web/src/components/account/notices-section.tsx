import { useNotificationEmails } from "../../hooks/use-notification-emails.ts";
import { ErrorNotice } from "../notice.tsx";
import { Section } from "../page.tsx";
import { Choice } from "../ui/choice.tsx";

const OPTIONS = [{ value: "on", label: "On" }, { value: "off", label: "Off" }] as const;

/** Whether notices come by e-mail too; not there where nothing is sent. */
export function NoticesSection() {
  const { query, choice } = useNotificationEmails();
  const { data } = query;
  if (data === undefined || !data.isAvailable) return null;
  // What was chosen shows at once; a refusal brings back what is.
  const isEnabled = choice.isPending ? choice.variables : data.isEnabled;
  return (
    <Section title="Notices by e-mail" id="notices">
      <p className="text-sm text-muted">
        We write to you when 80 % and 100 % of an allowance or of your spending cap are used. The
        bell shows the same, whatever you choose here.
      </p>
      <div>
        <Choice
          label="Notices by e-mail"
          value={isEnabled ? "on" : "off"}
          onChange={(value) => choice.mutate(value === "on")}
          options={OPTIONS}
        />
      </div>
      {choice.error && <ErrorNotice error={choice.error} />}
    </Section>
  );
}
