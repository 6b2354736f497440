// Build to dist/ (embedded into the binary) and the development server, which passes /api on to a running Catchment
// (CATCHMENT_URL, by default http://localhost:8080).
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vite';

// The theme is set by a small blocking script, so that a page never flashes in the wrong one. It is a file and not inline because
// the server's Content-Security-Policy allows scripts of 'self' only.
function themeScript(): Plugin {
  const source = readFileSync(new URL('src/shell/theme-first.js', import.meta.url), 'utf8');
  const name = `assets/theme-${createHash('sha256').update(source).digest('hex').slice(0, 8)}.js`;
  return {
    name: 'theme-first',
    configureServer(server) {
      server.middlewares.use(`/${name}`, (_request, response) => {
        response.setHeader('Content-Type', 'text/javascript');
        response.end(source);
      });
    },
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: name, source });
    },
    transformIndexHtml: () => [{ tag: 'script', attrs: { src: `/${name}` }, injectTo: 'head' }],
  };
}

const target = process.env.CATCHMENT_URL ?? 'http://localhost:8080';
// The server answers pages of its own origin only: to it, the development server's are.
const proxy = { '/api': { target, ws: true, changeOrigin: true, headers: { Origin: target } } };

export default defineConfig({
  appType: 'spa',
  plugins: [themeScript()],
  build: {
    target: 'es2022',
    outDir: 'dist',
    assetsInlineLimit: 0,
    sourcemap: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy },
  preview: { proxy },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts', 'src/**/*.test.tsx'] },
} as Parameters<typeof defineConfig>[0]);
