import type { LicenceAction } from "../../api/index.ts";
import { useLicence } from "../../hooks/use-library.ts";
import { endingText, type LibraryItem } from "../../lib/library.ts";
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
  const isCancel = action === "cancel";
  return (
    <ConfirmDialog
      open
      onOpenChange={() => !licence.isPending && onClose()}
      title={isCancel ? `Cancel “${item.title}”?` : `Resume “${item.title}”?`}
      description={endingText(item, action, Date.now())}
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
