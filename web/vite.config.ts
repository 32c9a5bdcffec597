import { fileURLToPath } from "node:url";
import process from "node:process";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";
import { securityHeaders, writeSecurityHeaders } from "./security-headers.ts";

const here = fileURLToPath(new URL(".", import.meta.url));

// Settings live beside package.json; only names that start with VITE_ ever reach the browser.
const envDir = fileURLToPath(new URL("..", import.meta.url));

export default defineConfig(({ mode }) => {
  const api = loadEnv(mode, envDir, "VITE_").VITE_SUPABASE_URL;
  return {
    root: here,
    envDir,
    // Two stacks on one machine (a running one and a test's) must not share Vite's cache.
    cacheDir: process.env.VITE_CACHE_DIR ??
      fileURLToPath(new URL("../node_modules/.vite", import.meta.url)),
    plugins: [react(), tailwindcss(), writeSecurityHeaders(api)],
    server: { host: "127.0.0.1" },
    preview: { host: "127.0.0.1", headers: api ? securityHeaders(api) : {} },
    build: {
      outDir: "dist",
      emptyOutDir: true,
      // A data: URL would need a wider Content-Security-Policy.
      assetsInlineLimit: 0,
    },
  };
});
