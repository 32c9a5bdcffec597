import "./no-eval.ts";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { parseEnv } from "./env.ts";
import { SettingsMissing } from "./settings-missing.tsx";
import "./styles.css";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");

const settings = parseEnv({ ...import.meta.env });
createRoot(root).render(
  <StrictMode>
    {settings.ok ? <App /> : <SettingsMissing problems={settings.problems} />}
  </StrictMode>,
);
