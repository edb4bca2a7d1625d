import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { strings } from "./src/strings.en.ts";
import { strings as korean } from "./src/strings.ko.ts";

// All addresses are relative, so the built folder works under any path of any web host.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../dist/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
  test: { setupFiles: ["tests/english.ts"] },
  plugins: [
    {
      name: "strings",
      transformIndexHtml: (html: string) =>
        html
          .replaceAll("%LANGUAGE%", strings.language)
          .replaceAll("%TITLE%", strings.title)
          .replaceAll("%DESCRIPTION%", strings.description)
          .replaceAll("%NO_SCRIPT%", strings.noScript)
          .replaceAll("%NO_SCRIPT_KOREAN%", korean.noScript)
          // Inlined, because browsers request an icon file again whenever the title changes.
          .replaceAll("%ICON%", `data:image/svg+xml,${encodeURIComponent(readFileSync("src/icon.svg", "utf8").trim())}`),
    },
  ],
});
