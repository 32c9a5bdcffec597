import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import {
  type AgentFields,
  createAgent,
  deleteAgent,
  listAgents,
  updateAgent,
} from "../api/index.ts";
import type { Agent } from "../lib/records.ts";
import { toApiError } from "../lib/errors.ts";
import { keys } from "../lib/query.ts";
import { believeRefusal, countUse } from "./use-usage.ts";

export function useAgents() {
  return useQuery({ queryKey: keys.agents, queryFn: listAgents });
}

/** Creates an agent, or changes the one with `id`. */
export function useSaveAgent() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ id, fields }: { id: string | null; fields: AgentFields }) =>
      id === null ? createAgent(fields) : updateAgent(id, fields),
    onSuccess: (_nothing, { id }) => {
      if (id === null) countUse(queries, "agent", 1);
      void queries.invalidateQueries({ queryKey: keys.usage });
      return queries.invalidateQueries({ queryKey: keys.agents });
    },
    onError: (error) => {
      const { code, limit } = toApiError(error);
      if (code === "agent_limit_reached") believeRefusal(queries, limit);
    },
  });
}

export function useDeleteAgent() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: deleteAgent,
    onSuccess: (_nothing, id) => {
      queries.setQueryData<Agent[]>(keys.agents, (rows) => rows?.filter((row) => row.id !== id));
      countUse(queries, "agent", -1);
      void queries.invalidateQueries({ queryKey: keys.usage });
    },
  });
}
