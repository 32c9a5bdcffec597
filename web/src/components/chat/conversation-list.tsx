import { Ellipsis, PencilLine, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { NavLink, useNavigate, useParams } from "react-router";
import type { Conversation } from "../../lib/records.ts";
import {
  useConversations,
  useDeleteConversation,
  useRenameConversation,
} from "../../hooks/use-conversations.ts";
import { cn } from "../../lib/cn.ts";
import { ErrorNotice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";
import { ConfirmDialog, Dialog } from "../ui/dialog.tsx";
import { TextField } from "../ui/field.tsx";
import { Menu, MenuItem } from "../ui/menu.tsx";
import { Skeleton } from "../ui/skeleton.tsx";

/** The same words everywhere for a conversation that has no title yet. */
export function titleOf(conversation: Conversation): string {
  return conversation.title.trim() || "Untitled";
}

type Task = { kind: "rename" | "delete"; conversation: Conversation };

export function ConversationList({ onNavigate }: { onNavigate?: () => void }) {
  const { data, error, refetch, isFetching } = useConversations();
  const [task, setTask] = useState<Task | null>(null);
  const close = () => setTask(null);

  if (error && !data) {
    return (
      <ErrorNotice
        error={error}
        onRetry={() => refetch()}
        pending={isFetching}
      />
    );
  }
  if (!data) return <ListSkeleton />;
  if (data.length === 0) {
    return <p className="px-3 py-2 text-sm text-muted">Your conversations will be listed here.</p>;
  }
  return (
    <>
      <ul className="grid grid-cols-[minmax(0,1fr)] gap-0.5 pb-3">
        {data.map((conversation) => (
          <ConversationRow
            key={conversation.id}
            conversation={conversation}
            onNavigate={onNavigate}
            onTask={(kind) => setTask({ kind, conversation })}
          />
        ))}
      </ul>
      {task?.kind === "rename" && <RenameDialog conversation={task.conversation} onClose={close} />}
      {task?.kind === "delete" && <DeleteDialog conversation={task.conversation} onClose={close} />}
    </>
  );
}

interface RowProps {
  conversation: Conversation;
  onNavigate?: () => void;
  onTask: (kind: Task["kind"]) => void;
}

function ConversationRow({ conversation, onNavigate, onTask }: RowProps) {
  const title = titleOf(conversation);
  return (
    <li className="group relative">
      <NavLink
        to={`/chat/${conversation.id}`}
        onClick={onNavigate}
        className={({ isActive }) =>
          cn(
            "block truncate rounded-lg py-2 pr-10 pl-3 text-sm transition-colors",
            isActive ? "bg-brand-soft font-medium text-brand-text" : "hover:bg-ink/6",
          )}
      >
        {title}
      </NavLink>
      <Menu
        trigger={
          <Button
            variant="ghost"
            size="icon-sm"
            aria-label={`Options for ${title}`}
            className="absolute top-0.5 right-0.5 text-muted md:opacity-0 md:group-hover:opacity-100 md:focus-visible:opacity-100 md:data-[state=open]:opacity-100"
          >
            <Ellipsis aria-hidden />
          </Button>
        }
      >
        <MenuItem onSelect={() => onTask("rename")}>
          <PencilLine aria-hidden />
          Rename
        </MenuItem>
        <MenuItem danger onSelect={() => onTask("delete")}>
          <Trash2 aria-hidden />
          Delete
        </MenuItem>
      </Menu>
    </li>
  );
}

interface TaskProps {
  conversation: Conversation;
  onClose: () => void;
}

function RenameDialog({ conversation, onClose }: TaskProps) {
  const [title, setTitle] = useState(conversation.title);
  const rename = useRenameConversation();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const next = title.trim();
    if (next) rename.mutate({ id: conversation.id, title: next }, { onSuccess: onClose });
  };
  return (
    <Dialog open onOpenChange={onClose} title="Rename conversation">
      <form className="grid gap-5" onSubmit={submit}>
        <TextField
          label="Title"
          value={title}
          maxLength={200}
          required
          onChange={(event) => setTitle(event.target.value)}
          onFocus={(event) => event.target.select()}
        />
        {rename.error && <ErrorNotice error={rename.error} />}
        <div className="flex justify-end gap-2">
          <Button variant="outline" onClick={onClose}>Cancel</Button>
          <Button type="submit" pending={rename.isPending}>Save</Button>
        </div>
      </form>
    </Dialog>
  );
}

function DeleteDialog({ conversation, onClose }: TaskProps) {
  const remove = useDeleteConversation();
  const navigate = useNavigate();
  const { conversationId } = useParams();
  const confirm = () =>
    remove.mutate(conversation.id, {
      onSuccess: () => {
        if (conversationId === conversation.id) navigate("/chat", { replace: true });
        onClose();
      },
    });
  return (
    <ConfirmDialog
      open
      onOpenChange={onClose}
      title={`Delete “${titleOf(conversation)}”?`}
      description="All its messages go with it. This cannot be undone, and used messages do not come back."
      confirmLabel="Delete"
      pending={remove.isPending}
      onConfirm={confirm}
    >
      {remove.error && <ErrorNotice error={remove.error} />}
    </ConfirmDialog>
  );
}

function ListSkeleton() {
  return (
    <div role="status" aria-label="Loading conversations" className="grid gap-3 px-3 py-2">
      <Skeleton className="h-4 w-4/5" />
      <Skeleton className="h-4 w-3/5" />
      <Skeleton className="h-4 w-2/3" />
    </div>
  );
}
