import { useMutation } from "@tanstack/react-query";
import { deleteAccount, exportData } from "../api/index.ts";
import { useSignOut } from "./use-session.tsx";

/** Saves everything about the signed-in person as a file of theirs. */
export function useExport() {
  return useMutation({
    mutationFn: exportData,
    onSuccess: (file) => save(file, `tollgate-${new Date().toISOString().slice(0, 10)}.json`),
  });
}

/** Deletes the account and leaves. */
export function useDeleteAccount() {
  const signOut = useSignOut();
  return useMutation({ mutationFn: deleteAccount, onSuccess: () => signOut() });
}

function save(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
