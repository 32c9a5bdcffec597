import { Download } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useDeleteAccount, useExport } from "../../hooks/use-own-data.ts";
import { useSession } from "../../hooks/use-session.tsx";
import { ErrorNotice } from "../notice.tsx";
import { Section } from "../page.tsx";
import { Button } from "../ui/button.tsx";
import { Dialog, DialogFooter } from "../ui/dialog.tsx";
import { TextField } from "../ui/field.tsx";

/** Everything about oneself to take away, and the end of it. */
export function DataSection() {
  const [isLeaving, setIsLeaving] = useState(false);
  const download = useExport();
  return (
    <Section title="Your data" id="data">
      <p className="text-sm text-muted">
        One file has everything we know about you: your chats, usage, plans, invoices, purchases and
        sales.
      </p>
      <div className="flex flex-wrap gap-2">
        <Button variant="outline" pending={download.isPending} onClick={() => download.mutate()}>
          <Download aria-hidden />
          Download your data
        </Button>
        <Button variant="danger" onClick={() => setIsLeaving(true)}>Delete account</Button>
      </div>
      {download.error && <ErrorNotice error={download.error} />}
      {isLeaving && <DeleteDialog onClose={() => setIsLeaving(false)} />}
    </Section>
  );
}

function DeleteDialog({ onClose }: { onClose: () => void }) {
  const session = useSession();
  const email = session.status === "signed-in" ? session.user.email : "";
  const [typed, setTyped] = useState("");
  const leave = useDeleteAccount();
  const isConfirmed = typed.trim().toLowerCase() === email.toLowerCase();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isConfirmed) leave.mutate(typed);
  };
  return (
    <Dialog
      open
      onOpenChange={() => !leave.isPending && onClose()}
      title="Delete your account"
      description="This cannot be taken back."
    >
      <form onSubmit={submit} className="grid gap-5">
        <ul className="grid list-disc gap-1 pl-5 text-sm">
          <li>You are signed out now and cannot sign in again.</li>
          <li>Your plan and monthly purchases end at once. Nothing is refunded.</li>
          <li>What you used beyond your allowance until now is billed a last time.</li>
          <li>
            What you sell is taken down. Who bought it keeps it, and what you earned is paid out.
          </li>
          <li>Your chats, agents and usage are deleted within a day.</li>
          <li>Invoices stay in our books without your name, as the law asks of us.</li>
        </ul>
        <TextField
          label={`Type ${email} to confirm`}
          type="email"
          autoComplete="off"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        {leave.error && <ErrorNotice error={leave.error} />}
        <DialogFooter>
          <Button type="button" variant="outline" disabled={leave.isPending} onClick={onClose}>
            Keep account
          </Button>
          <Button type="submit" variant="danger" disabled={!isConfirmed} pending={leave.isPending}>
            Delete account for ever
          </Button>
        </DialogFooter>
      </form>
    </Dialog>
  );
}
