import { useNavigate } from "react-router";
import {
  type Saving,
  useDeleteListing,
  type useSaveListing,
  useWithdraw,
} from "../../hooks/use-seller.ts";
import { priceText } from "../../lib/marketplace.ts";
import type { OwnListing } from "../../lib/seller.ts";
import { ErrorNotice } from "../notice.tsx";
import { ConfirmDialog } from "../ui/dialog.tsx";

export type Asked =
  | { kind: "publish"; saving: Saving }
  | { kind: "withdraw" }
  | { kind: "delete" };

interface EditorDialogsProps {
  asked: Asked | null;
  listing: OwnListing | null;
  save: ReturnType<typeof useSaveListing>;
  onPublish: (saving: Saving) => void;
  onWithdrawn: () => void;
  onClose: () => void;
}

/** Says what it means for buyers before it is done. */
export function EditorDialogs(props: EditorDialogsProps) {
  const { asked, listing, save, onPublish, onWithdrawn, onClose } = props;
  if (asked?.kind === "publish") {
    const { saving } = asked;
    return (
      <ConfirmDialog
        open
        onOpenChange={() => !save.isPending && onClose()}
        title={`Publish “${saving.fields.title}”?`}
        description={listing && listing.version > 0
          ? `It is sold for ${
            priceText(saving.fields)
          }, and everybody who has it gets the agent as it is now.`
          : `Everybody can see it and buy it for ${
            priceText(saving.fields)
          }. Buyers can read the agent’s instructions as they are now.`}
        confirmLabel="Publish"
        cancelLabel="Not yet"
        harmless
        pending={save.isPending}
        onConfirm={() => onPublish(saving)}
      >
        {save.error && <ErrorNotice error={save.error} />}
      </ConfirmDialog>
    );
  }
  if (asked?.kind === "withdraw" && listing) {
    return <WithdrawDialog listing={listing} onDone={onWithdrawn} onClose={onClose} />;
  }
  return asked?.kind === "delete" && listing
    ? <DeleteDialog listing={listing} onClose={onClose} />
    : null;
}

interface WithdrawProps {
  listing: OwnListing;
  onDone: () => void;
  onClose: () => void;
}

function WithdrawDialog({ listing, onDone, onClose }: WithdrawProps) {
  const withdraw = useWithdraw();
  const done = () => {
    onDone();
    onClose();
  };
  return (
    <ConfirmDialog
      open
      onOpenChange={() => !withdraw.isPending && onClose()}
      title={`Withdraw “${listing.title}”?`}
      description="Nobody can buy it any more. Who has it keeps it, and what is paid by the month goes on."
      confirmLabel="Withdraw"
      pending={withdraw.isPending}
      onConfirm={() => withdraw.mutate(listing.id, { onSuccess: done })}
    >
      {withdraw.error && <ErrorNotice error={withdraw.error} />}
    </ConfirmDialog>
  );
}

function DeleteDialog({ listing, onClose }: { listing: OwnListing; onClose: () => void }) {
  const remove = useDeleteListing();
  const navigate = useNavigate();
  return (
    <ConfirmDialog
      open
      onOpenChange={() => !remove.isPending && onClose()}
      title={`Delete the draft “${listing.title}”?`}
      description="Its text and picture are lost. The agent stays."
      confirmLabel="Delete"
      pending={remove.isPending}
      onConfirm={() =>
        remove.mutate(listing.id, { onSuccess: () => navigate("/sell", { replace: true }) })}
    >
      {remove.error && <ErrorNotice error={remove.error} />}
    </ConfirmDialog>
  );
}
