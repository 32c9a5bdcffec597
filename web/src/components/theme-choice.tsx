import { Monitor, Moon, Sun } from "lucide-react";
import { type Theme, useTheme } from "../hooks/use-theme.ts";
import { Button } from "./ui/button.tsx";
import { Choice } from "./ui/choice.tsx";

const OPTIONS = [
  {
    value: "system",
    label: (
      <>
        <Monitor aria-hidden className="size-4" />System
      </>
    ),
  },
  {
    value: "light",
    label: (
      <>
        <Sun aria-hidden className="size-4" />Light
      </>
    ),
  },
  {
    value: "dark",
    label: (
      <>
        <Moon aria-hidden className="size-4" />Dark
      </>
    ),
  },
] as const;

/** All three choices, for the account page. */
export function ThemeChoice() {
  const [theme, setTheme] = useTheme();
  return <Choice<Theme> label="Theme" value={theme} onChange={setTheme} options={OPTIONS} />;
}

/** One press between light and dark, for page headers. */
export function ThemeToggle() {
  const [theme, setTheme] = useTheme();
  const isDark = theme === "dark" ||
    (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  return (
    <Button
      variant="ghost"
      size="icon"
      aria-label={isDark ? "Switch to light theme" : "Switch to dark theme"}
      onClick={() => setTheme(isDark ? "light" : "dark")}
    >
      {isDark ? <Sun aria-hidden /> : <Moon aria-hidden />}
    </Button>
  );
}
