import { Link } from "react-router";
import type { ChatAgent } from "../../hooks/use-chat-agent.ts";
import { Cover } from "../marketplace/cover.tsx";
import { Notice } from "../notice.tsx";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";

/** Who answers here, above the conversation. */
export function AgentBar({ agent }: { agent: ChatAgent }) {
  const { ref, name, by, path, picture, locked } = agent;
  return (
    <div className="flex h-14 shrink-0 items-center gap-3 border-b border-line px-4 sm:px-6">
      <Cover id={ref.id} title={name} picture={picture} className="w-14 rounded-md" />
      <p className="grid min-w-0 flex-1 text-sm leading-tight">
        <Link
          to={path}
          className="truncate rounded font-semibold underline-offset-4 hover:underline"
        >
          {name}
        </Link>
        <span className="truncate text-xs text-muted">
          {by ? `By ${by}` : "One of your agents"}
        </span>
      </p>
      {locked && <Badge tone="warn">Locked</Badge>}
    </div>
  );
}

/** In the place of the field to write in: the agent does not answer any more. */
export function Locked({ agent }: { agent: ChatAgent }) {
  const isBought = agent.ref.kind === "listing";
  return (
    <Notice
      tone="warn"
      title={`“${agent.name}” is locked`}
      actions={
        <>
          <Button size="sm" variant="outline" asChild>
            <Link to="/library">Library</Link>
          </Button>
          {isBought && (
            <Button size="sm" variant="outline" asChild>
              <Link to={agent.path}>Marketplace</Link>
            </Button>
          )}
        </>
      }
    >
      <p>{agent.locked}</p>
      <p className="mt-1">This conversation stays; a new chat goes on without it.</p>
    </Notice>
  );
}
