import { defineConfig } from "vite";

// Django serves dist/ under /static/ and finds the entry in dist/.vite/manifest.json.
export default defineConfig({
  base: "/static/",
  worker: { format: "es" },
  build: {
    manifest: true,
    chunkSizeWarningLimit: 6000,
    rolldownOptions: {
      input: "src/main.ts",
      output: {
        // Twelve hex digits: WhiteNoise lets browsers keep such files for ever.
        hashCharacters: "hex",
        entryFileNames: "assets/[name].[hash:12].js",
        chunkFileNames: "assets/[name].[hash:12].js",
        assetFileNames: "assets/[name].[hash:12][extname]",
      },
    },
  },
});
