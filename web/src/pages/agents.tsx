import { Bot, PencilLine, Plus, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import type { Agent } from "../lib/records.ts";
import { LimitPanel } from "../components/limit-panel.tsx";
import { ErrorNotice } from "../components/notice.tsx";
import { Page } from "../components/page.tsx";
import { TextLink } from "../components/text-link.tsx";
import { Button } from "../components/ui/button.tsx";
import { ConfirmDialog, Dialog } from "../components/ui/dialog.tsx";
import { TextAreaField, TextField } from "../components/ui/field.tsx";
import { Skeleton } from "../components/ui/skeleton.tsx";
import { UsageMeter } from "../components/usage-meter.tsx";
import { useAgents, useDeleteAgent, useSaveAgent } from "../hooks/use-agents.ts";
import { useTitle } from "../hooks/use-title.ts";
import { type MetricUsage, useUsage } from "../hooks/use-usage.ts";
import { toApiError } from "../lib/errors.ts";
import { newChatPath } from "../lib/paths.ts";

type Task = { kind: "edit"; agent: Agent | null } | { kind: "delete"; agent: Agent };

export default function AgentsPage() {
  useTitle("Agents");
  const agents = useAgents();
  const { agents: usage, isLoading } = useUsage();
  const [task, setTask] = useState<Task | null>(null);
  const close = () => setTask(null);
  const full = usage?.isExhausted ?? false;
  const create = () => setTask({ kind: "edit", agent: null });

  return (
    <Page
      title="Agents"
      lead="Assistants with instructions of their own."
      actions={!full && (
        <Button onClick={create} disabled={!agents.data}>
          <Plus aria-hidden />
          New agent
        </Button>
      )}
    >
      <UsageMeter label="Agents" usage={usage} isLoading={isLoading} />
      {full && usage && <LimitPanel metric="agent" usage={usage} />}
      {agents.data
        ? (
          <AgentList
            agents={agents.data}
            onCreate={full ? null : create}
            onEdit={(agent) => setTask({ kind: "edit", agent })}
            onDelete={(agent) => setTask({ kind: "delete", agent })}
          />
        )
        : agents.error
        ? (
          <ErrorNotice
            error={agents.error}
            onRetry={() => agents.refetch()}
            pending={agents.isFetching}
          />
        )
        : <ListSkeleton />}
      {task?.kind === "edit" && <AgentDialog agent={task.agent} usage={usage} onClose={close} />}
      {task?.kind === "delete" && <DeleteDialog agent={task.agent} onClose={close} />}
    </Page>
  );
}

interface AgentListProps {
  agents: Agent[];
  onCreate: (() => void) | null;
  onEdit: (agent: Agent) => void;
  onDelete: (agent: Agent) => void;
}

function AgentList({ agents, onCreate, onEdit, onDelete }: AgentListProps) {
  if (agents.length === 0) {
    return (
      <div className="grid justify-items-start gap-3 rounded-2xl border border-dashed border-line-strong p-8">
        <Bot aria-hidden className="size-7 text-muted" />
        <div className="grid gap-1">
          <h2 className="text-lg font-semibold">No agents yet</h2>
          <p className="text-sm text-muted">
            Give one a name and tell it how to work: a proofreader, a patient tutor, a critic.
          </p>
        </div>
        {onCreate && <Button variant="outline" onClick={onCreate}>Create your first agent</Button>}
      </div>
    );
  }
  return (
    <ul aria-label="Your agents" className="divide-y divide-line border-y border-line">
      {agents.map((agent) => (
        <li key={agent.id} className="flex items-start gap-4 py-4">
          <span
            aria-hidden
            className="grid size-10 shrink-0 place-items-center rounded-xl bg-brand-soft font-semibold text-brand-text"
          >
            {[...agent.name.trim()][0]?.toUpperCase()}
          </span>
          <div className="min-w-0 flex-1">
            <h2 className="truncate font-semibold">{agent.name}</h2>
            <p className="line-clamp-2 text-sm break-words text-muted">
              {agent.instructions || "No instructions."}
            </p>
            <Ways agent={agent} />
          </div>
          <div className="flex">
            <Button
              variant="ghost"
              size="icon"
              aria-label={`Edit ${agent.name}`}
              onClick={() => onEdit(agent)}
            >
              <PencilLine aria-hidden className="size-4!" />
            </Button>
            <Button
              variant="ghost"
              size="icon"
              aria-label={`Delete ${agent.name}`}
              onClick={() => onDelete(agent)}
            >
              <Trash2 aria-hidden className="size-4!" />
            </Button>
          </div>
        </li>
      ))}
    </ul>
  );
}

/** What can be done with it elsewhere. A copy of a bought one cannot be sold. */
function Ways({ agent }: { agent: Agent }) {
  const { id, name, sourceListingId } = agent;
  return (
    <p className="mt-1.5 flex flex-wrap items-center gap-x-4 gap-y-1 text-sm">
      <TextLink to={newChatPath({ agent: id })} aria-label={`Chat with ${name}`}>Chat</TextLink>
      {sourceListingId
        ? (
          <TextLink
            to={`/marketplace/${sourceListingId}`}
            aria-label={`${name} is a copy of a bought agent`}
          >
            Copy of a bought agent
          </TextLink>
        )
        : (
          <TextLink to={`/sell/listings/new?agent=${id}`} aria-label={`Sell ${name}`}>
            Sell this agent
          </TextLink>
        )}
    </p>
  );
}

interface AgentDialogProps {
  agent: Agent | null;
  usage: MetricUsage | null;
  onClose: () => void;
}

function AgentDialog({ agent, usage, onClose }: AgentDialogProps) {
  const [name, setName] = useState(agent?.name ?? "");
  const [instructions, setInstructions] = useState(agent?.instructions ?? "");
  const [problem, setProblem] = useState<string | null>(null);
  const save = useSaveAgent();
  // The list said there was room; another tab may have taken it. What was typed stays in the form.
  const refused = save.error !== null && toApiError(save.error).code === "agent_limit_reached";

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const fields = { name: name.trim(), instructions: instructions.trim() };
    setProblem(fields.name ? null : "Give the agent a name.");
    if (fields.name) save.mutate({ id: agent?.id ?? null, fields }, { onSuccess: onClose });
  };
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={agent ? "Edit agent" : "New agent"}
      description="What it is called, and how it should work."
    >
      <form noValidate className="grid gap-5" onSubmit={submit}>
        <TextField
          label="Name"
          value={name}
          maxLength={100}
          required
          autoComplete="off"
          error={problem}
          onChange={(event) => {
            setName(event.target.value);
            setProblem(null);
          }}
        />
        <TextAreaField
          label="Instructions"
          value={instructions}
          maxLength={20_000}
          placeholder="You proofread letters. Keep the tone, mend the grammar, say what you changed."
          onChange={(event) => setInstructions(event.target.value)}
        />
        {refused && usage
          ? <LimitPanel metric="agent" usage={usage} />
          : save.error && <ErrorNotice error={save.error} />}
        <div className="flex justify-end gap-2">
          <Button variant="outline" onClick={onClose}>Cancel</Button>
          <Button type="submit" pending={save.isPending}>{agent ? "Save" : "Create agent"}</Button>
        </div>
      </form>
    </Dialog>
  );
}

function DeleteDialog({ agent, onClose }: { agent: Agent; onClose: () => void }) {
  const remove = useDeleteAgent();
  return (
    <ConfirmDialog
      open
      onOpenChange={onClose}
      title={`Delete “${agent.name}”?`}
      description="Its instructions are lost, and its place becomes free again."
      confirmLabel="Delete"
      pending={remove.isPending}
      onConfirm={() => remove.mutate(agent.id, { onSuccess: onClose })}
    >
      {remove.error && <ErrorNotice error={remove.error} />}
    </ConfirmDialog>
  );
}

function ListSkeleton() {
  return (
    <div role="status" aria-label="Loading agents" className="grid gap-6 pt-4">
      <Skeleton className="h-10 w-3/4" />
      <Skeleton className="h-10 w-2/3" />
    </div>
  );
}
