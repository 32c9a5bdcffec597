import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import {
  deleteConversation,
  getConversation,
  listConversations,
  renameConversation,
} from "../api/index.ts";
import type { Conversation } from "../lib/records.ts";
import { keys } from "../lib/query.ts";

export function useConversations() {
  return useQuery({ queryKey: keys.conversations, queryFn: listConversations });
}

/** One conversation; `data` is null when there is none with this id for this person. */
export function useConversation(id: string, enabled: boolean) {
  const queries = useQueryClient();
  return useQuery({
    queryKey: keys.conversation(id),
    queryFn: () => getConversation(id),
    enabled,
    initialData: () =>
      queries.getQueryData<Conversation[]>(keys.conversations)?.find((row) => row.id === id),
  });
}

export function useRenameConversation() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ id, title }: { id: string; title: string }) => renameConversation(id, title),
    onSuccess: (_nothing, { id, title }) => {
      const rename = (row: Conversation) => row.id === id ? { ...row, title } : row;
      queries.setQueryData<Conversation[]>(keys.conversations, (rows) => rows?.map(rename));
      queries.setQueryData<Conversation | null>(keys.conversation(id), (row) => row && rename(row));
    },
    onSettled: () => queries.invalidateQueries({ queryKey: keys.conversations }),
  });
}

export function useDeleteConversation() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: deleteConversation,
    onSuccess: (_nothing, id) => {
      queries.setQueryData<Conversation[]>(
        keys.conversations,
        (rows) => rows?.filter((row) => row.id !== id),
      );
      queries.removeQueries({ queryKey: keys.messages(id) });
      queries.removeQueries({ queryKey: keys.conversation(id) });
    },
  });
}
