import { type ReactNode, useEffect, useRef } from "react";
import { Link } from "../../tollgate/host.tsx";
import { Button } from "../ui/button.tsx";
import { DialogFooter, DialogStep } from "../ui/dialog.tsx";

interface DoneProps {
  title: string;
  description: string;
  onClose: () => void;
  /** What else can be done from here. */
  actions?: ReactNode;
}

/** The last step of a dialog: what has happened, and the way out. It takes the focus of what it replaced. */
export function Done({ title, description, onClose, actions }: DoneProps) {
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => link.current?.focus(), []);
  return (
    <DialogStep title={title} description={description}>
      {/* The name of a dialog is read when it opens, and not when it changes. */}
      <p role="status" className="sr-only">{`${title}. ${description}`}</p>
      <DialogFooter>
        {actions}
        <Button asChild>
          <Link ref={link} to="/account" onClick={onClose}>Return to account</Link>
        </Button>
      </DialogFooter>
    </DialogStep>
  );
}
