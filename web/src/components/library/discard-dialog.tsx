import { useDiscardCopies } from "../../hooks/use-library.ts";
import type { LibraryItem } from "../../lib/library.ts";
import { ErrorNotice } from "../notice.tsx";
import { ConfirmDialog } from "../ui/dialog.tsx";

/** Copies whose licence has ended still take their places; this gives them back. */
export function DiscardDialog({ item, onClose }: { item: LibraryItem; onClose: () => void }) {
  const discard = useDiscardCopies();
  return (
    <ConfirmDialog
      open
      onOpenChange={onClose}
      title={`Delete your copies of “${item.title}”?`}
      description="They are locked, and take a place among your agents. What you changed in them is lost."
      confirmLabel="Delete copies"
      pending={discard.isPending}
      onConfirm={() => discard.mutate(item.listingId, { onSuccess: onClose })}
    >
      {discard.error && <ErrorNotice error={discard.error} />}
    </ConfirmDialog>
  );
}
