import { fileURLToPath } from "node:url";
import process from "node:process";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));

export default defineConfig({
  root: here,
  // Settings live beside package.json; only names that start with VITE_ ever reach the browser.
  envDir: fileURLToPath(new URL("..", import.meta.url)),
  // Two stacks on one machine (a running one and a test's) must not share Vite's cache.
  cacheDir: process.env.VITE_CACHE_DIR ??
    fileURLToPath(new URL("../node_modules/.vite", import.meta.url)),
  plugins: [react(), tailwindcss()],
  server: { host: "127.0.0.1" },
  preview: { host: "127.0.0.1" },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // A data: URL would need a wider Content-Security-Policy.
    assetsInlineLimit: 0,
  },
});
