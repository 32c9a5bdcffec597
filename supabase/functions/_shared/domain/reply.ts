const OPENINGS = [
  "Thanks, I read that twice.",
  "Good one.",
  "Here is what I took from it.",
  "Noted.",
] as const;

/** What an agent is told to be. */
export interface Persona {
  name: string;
  instructions: string;
}

/**
 * The assistant's answer until a model is wired in: short, deterministic, and honest about what it is. `tools` is what
 * the tools said, `agent` who answers. Replace the call to this function in `_shared/chat/reply.ts` with your model; everything around it
 * stays.
 */
export function composeReply(
  content: string,
  tools: string[] = [],
  agent: Persona | null = null,
): string {
  const words = content.trim().split(/\s+/u).filter((word) => word !== "");
  const opening = OPENINGS[words.length % OPENINGS.length] ?? OPENINGS[0];
  const subject = content.includes("?") ? "You asked" : "You said";
  const quote = `${opening} ${subject}: “${excerpt(content)}” (${words.length} ${
    words.length === 1 ? "word" : "words"
  }).`;
  const lines = [...spokenBy(agent), quote, ...tools].join("\n");
  return lines + (tools.length > 0 ? "\n" : " ") +
    "I am Tollgate's built-in reply: connect a model and I will have more to say.";
}

/** Without a model the instructions cannot be followed, only be seen to have arrived. */
function spokenBy(agent: Persona | null): string[] {
  if (agent === null) return [];
  const told = agent.instructions.trim() === "" ? "" : `, told: “${excerpt(agent.instructions)}”`;
  return [`${agent.name} answers${told}.`];
}

function excerpt(content: string): string {
  const line = content.trim().replace(/\s+/gu, " ");
  const characters = Array.from(line);
  return characters.length <= 140 ? line : `${characters.slice(0, 139).join("")}…`;
}
