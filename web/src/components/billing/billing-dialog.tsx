import { useIsBillingBusy } from "../../hooks/use-billing.ts";
import { DialogFrame } from "../ui/dialog.tsx";
import { CancelSteps } from "./cancel-steps.tsx";
import { ChangeSteps } from "./change-steps.tsx";
import { OverageOffSteps, OverageSteps } from "./overage-steps.tsx";
import { ResumeSteps } from "./resume-steps.tsx";

/** What somebody wants to do with their subscription; null key: they have still to choose a price. */
export type Ask =
  | { kind: "change"; lookupKey: string | null }
  | { kind: "cancel" }
  | { kind: "cancel_now" }
  | { kind: "resume" }
  /** Pay as you go: on, or another cap. */
  | { kind: "overage" }
  | { kind: "overage_off" };

export interface AskProps {
  /** Asks for something else instead, or closes with null. */
  onAsk: (ask: Ask | null) => void;
}

/** Says what will happen and when, and does it only when that is confirmed. */
export function BillingDialog({ ask, onAsk }: AskProps & { ask: Ask | null }) {
  const isBusy = useIsBillingBusy();
  if (!ask) return null;
  return (
    <DialogFrame open onOpenChange={() => !isBusy && onAsk(null)}>
      <Steps ask={ask} onAsk={onAsk} />
    </DialogFrame>
  );
}

function Steps({ ask, onAsk }: AskProps & { ask: Ask }) {
  switch (ask.kind) {
    case "change":
      return <ChangeSteps lookupKey={ask.lookupKey} onAsk={onAsk} />;
    case "cancel":
      return <CancelSteps onAsk={onAsk} />;
    case "cancel_now":
      return <CancelSteps atOnce onAsk={onAsk} />;
    case "resume":
      return <ResumeSteps onAsk={onAsk} />;
    case "overage":
      return <OverageSteps onAsk={onAsk} />;
    case "overage_off":
      return <OverageOffSteps onAsk={onAsk} />;
  }
}
