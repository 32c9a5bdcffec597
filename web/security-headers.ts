import type { Plugin } from "vite";

/**
 * What a browser is told about the web client. Scripts are our own files and nothing else: no inline script, no `eval`, so
 * that text of another person that ever got into a page unescaped would still not run. Styles may be inline, because the
 * dialogs' scroll lock writes a style element.
 *
 * `api` is the Supabase project's address, the only other origin that is talked to.
 */
function policy(api: string): string[] {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    // Pictures of listings are data: URLs, and never SVG.
    "img-src 'self' data:",
    "font-src 'self'",
    `connect-src 'self' ${new URL(api).origin}`,
    "manifest-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
  ];
}

/** Every header by name; a `<meta>` cannot say who may frame the page, so that one is only here. */
export function securityHeaders(api: string): Record<string, string> {
  return {
    "Content-Security-Policy": [...policy(api), "frame-ancestors 'none'"].join("; "),
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy":
      "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    // Browsers heed it over https only.
    "Strict-Transport-Security": "max-age=31536000",
  };
}

/**
 * Writes the headers into the build as `_headers`, which static hosts read, and the policy into the page itself, for hosts
 * that do not. Only into a build: Vite's development server needs inline scripts.
 */
export function writeSecurityHeaders(api: string | undefined): Plugin {
  // A build without settings shows which are missing and talks to nobody.
  const target = api && URL.canParse(api) ? api : "http://127.0.0.1:54321";
  return {
    name: "tollgate-security-headers",
    apply: "build",
    transformIndexHtml: () => [{
      tag: "meta",
      attrs: { "http-equiv": "Content-Security-Policy", content: policy(target).join("; ") },
      injectTo: "head-prepend",
    }],
    generateBundle() {
      const lines = Object.entries(securityHeaders(target)).map(([name, value]) =>
        `  ${name}: ${value}`
      );
      this.emitFile({
        type: "asset",
        fileName: "_headers",
        source: ["/*", ...lines, ""].join("\n"),
      });
    },
  };
}
