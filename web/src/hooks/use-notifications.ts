import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { listNotifications, markNotificationsRead } from "../api/index.ts";
import { keys } from "../lib/query.ts";
import type { Notification } from "../lib/records.ts";
import { useSession } from "./use-session.tsx";

/** Notices of the database, newest first; asked for again after each message. */
export function useNotifications() {
  const session = useSession();
  const query = useQuery({
    queryKey: keys.notifications,
    queryFn: listNotifications,
    enabled: session.status === "signed-in",
    refetchOnWindowFocus: "always",
  });
  return {
    notifications: query.data ?? null,
    error: query.data ? null : query.error,
    isFetching: query.isFetching,
    refetch: () => void query.refetch(),
  };
}

/** Marks as read what has been shown: everything up to the newest of it. */
export function useMarkRead() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: markNotificationsRead,
    onMutate: async (upTo) => {
      await queries.cancelQueries({ queryKey: keys.notifications });
      queries.setQueryData<Notification[]>(
        keys.notifications,
        (rows) => rows?.map((row) => row.id <= upTo ? { ...row, isRead: true } : row),
      );
    },
    onSettled: () => queries.invalidateQueries({ queryKey: keys.notifications }),
  });
}
