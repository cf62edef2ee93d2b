import { defineConfig } from "vite";

// Twelve hex digits: Django lets browsers keep such files for ever (WhiteNoise).
const output = {
  hashCharacters: "hex",
  entryFileNames: "assets/[name].[hash:12].js",
  chunkFileNames: "assets/[name].[hash:12].js",
  assetFileNames: "assets/[name].[hash:12][extname]",
} as const;

// Django serves dist/ under /static/ and finds the entry in dist/.vite/manifest.json.
export default defineConfig({
  base: "/static/",
  worker: { format: "es", rolldownOptions: { output } },
  build: {
    manifest: true,
    chunkSizeWarningLimit: 6000,
    rolldownOptions: { input: "src/main.ts", output },
  },
});
