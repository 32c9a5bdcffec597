import { Mark } from "./components/logo.tsx";
import type { SettingProblem } from "./env.ts";

/** Shown instead of the app when it was built without its settings: for the person who runs it. */
export function SettingsMissing({ problems }: { problems: SettingProblem[] }) {
  return (
    <main className="mx-auto grid min-h-dvh max-w-xl content-center gap-5 px-5">
      <Mark className="size-10" />
      <div className="grid gap-2">
        <h1 className="text-2xl font-semibold">Tollgate does not know its project yet</h1>
        <p className="text-muted">
          These settings are read from the environment when the web client is started or built. See
          .env.example.
        </p>
      </div>
      <ul className="grid gap-2 rounded-xl border border-line bg-card p-5 text-sm">
        {problems.map(({ name, problem }) => (
          <li key={name}>
            <code className="font-mono font-semibold">{name}</code> {problem}.
          </li>
        ))}
      </ul>
    </main>
  );
}
