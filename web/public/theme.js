// Runs before the first paint. Keep in step with src/hooks/use-theme.ts, which writes the choice.
(() => {
  let choice = null;
  try {
    choice = localStorage.getItem("tollgate.theme");
  } catch {
    // Storage may be blocked; the system's preference still serves.
  }
  const dark = choice === "dark" ||
    (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
