import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getNotificationEmails, setNotificationEmails } from "../api/index.ts";
import { keys } from "../lib/query.ts";

/** Whether notices are sent by e-mail, and the person's choice. */
export function useNotificationEmails() {
  const queries = useQueryClient();
  const query = useQuery({ queryKey: keys.notificationEmails, queryFn: getNotificationEmails });
  const choice = useMutation({
    mutationFn: setNotificationEmails,
    onSuccess: (answer) => queries.setQueryData(keys.notificationEmails, answer),
    onError: () => queries.invalidateQueries({ queryKey: keys.notificationEmails }),
  });
  return { query, choice };
}
