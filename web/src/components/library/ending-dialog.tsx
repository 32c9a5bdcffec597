import type { LicenceAction } from "../../api/index.ts";
import { useLicence } from "../../hooks/use-library.ts";
import { formatDate } from "../../lib/dates.ts";
import type { LibraryItem } from "../../lib/library.ts";
import { formatMoney } from "../../lib/money.ts";
import { ErrorNotice } from "../notice.tsx";
import { ConfirmDialog } from "../ui/dialog.tsx";

interface EndingDialogProps {
  item: LibraryItem;
  licenceId: string;
  action: LicenceAction;
  onClose: () => void;
}

/** Ends a monthly licence with its paid month, or lets it go on. */
export function EndingDialog({ item, licenceId, action, onClose }: EndingDialogProps) {
  const licence = useLicence(licenceId);
  const end = item.periodEnd === null ? "the end of the paid month" : formatDate(item.periodEnd);
  const price = `${formatMoney(item.amountMinor, item.currency)} a month`;
  const isCancel = action === "cancel";
  return (
    <ConfirmDialog
      open
      onOpenChange={() => !licence.isPending && onClose()}
      title={isCancel ? `Cancel “${item.title}”?` : `Resume “${item.title}”?`}
      description={isCancel
        ? `You keep it until ${end}, and nothing more is charged. You can resume it until then.`
        : `It goes on after ${end}, for ${price}. Nothing is charged now.`}
      confirmLabel={isCancel ? "Cancel licence" : "Resume licence"}
      cancelLabel={isCancel ? "Keep it" : "Not now"}
      harmless={!isCancel}
      pending={licence.isPending}
      onConfirm={() => licence.mutate(action, { onSuccess: onClose })}
    >
      {licence.error && <ErrorNotice error={licence.error} />}
    </ConfirmDialog>
  );
}
