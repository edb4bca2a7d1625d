/** The page: header, views and engines. Loads the network right after the first paint, and nothing later. */
import { BrowserEngine } from "./engine/browser";
import type { Engine } from "./engine/engine";
import { ServerEngine } from "./engine/server";
import { strings } from "./strings.en";
import type { Model } from "./types";
import { AboutView } from "./view/about";
import { h, replace } from "./view/dom";
import { GuessView } from "./view/guess";
import { Header } from "./view/header";
import { LiveView } from "./view/live";
import { announcer, Notice } from "./view/notice";
import { setLabels } from "./view/shades";
import type { State, View } from "./view/state";
import { TryView } from "./view/try";

type Name = "try" | "live" | "guess" | "about";
const NAMES: Name[] = ["try", "live", "guess", "about"];
const MODEL = { description: "model/model.json", graph: "model/waveform.onnx" };

const page = document.getElementById("page") as HTMLElement;
const main = h("main", { id: "main", tabindex: -1 });
const header = new Header(NAMES, () => Object.values(views).forEach((view) => view.refresh?.()));
const views = {} as Record<Name, View>;
const fatal = new Notice();

replace(
  page,
  h("a", { class: "skip", href: "#main", onclick: (event: Event) => (event.preventDefault(), main.focus()) }, strings.skip),
  header.element,
  main,
  header.promise,
  announcer(),
);
replace(main, h("div", { class: "opening" }, h("p", { class: "busy", role: "status" }, strings.loading.starting)), fatal.element);
void start();

async function start(): Promise<void> {
  const server = new ServerEngine();
  // `emocatcher serve` marks the pages it serves; a plain web host has no API to request.
  const isServed = document.querySelector("meta[name=emocatcher-server]") !== null;
  const [model, found] = await Promise.all([
    ownModel(),
    isServed ? server.model() : { model: null, tokenRequired: false },
  ]);
  if (!model) {
    replace(main, h("h1", { class: "only-read" }, strings.name), fatal.element);
    header.showStatus(strings.loading.failed, "failed");
    fatal.show(new Error(strings.loading.failed));
    return;
  }
  setLabels(model.labels);
  // If the server has another model than the page was built with, this browser uses the server's network too.
  const theirs = found.model;
  const sameModel = !theirs || (theirs.name === model.name && theirs.version === model.version);
  const here = !sameModel && theirs?.waveform_onnx ? theirs : model;
  const graph = here === model ? MODEL.graph : (theirs?.waveform_onnx ?? MODEL.graph).replace(/^\//, "");
  setLabels(here.labels);
  const state: { -readonly [K in keyof State]: State[K] } = {
    model: here,
    engine: null as unknown as Engine,
    server: theirs || found.tokenRequired ? server : null,
    serverModel: theirs,
  };
  await painted();
  const browser = new BrowserEngine(here, graph, server.token, (loaded, total) => header.showProgress(loaded, total));
  state.engine = browser;
  views.try = new TryView(state);
  views.live = new LiveView(state);
  views.guess = new GuessView(state);
  views.about = new AboutView(state);
  replace(main, ...NAMES.map((name) => views[name].element));
  const refresh = (): void => Object.values(views).forEach((view) => view.refresh?.());
  if (state.server)
    header.offerServer(found.tokenRequired, async (where, token) => {
      if (where === "server" && token !== undefined) {
        server.token = token;
        state.serverModel = (await server.model()).model;
        if (!state.serverModel) return false;
      }
      state.engine = where === "server" ? server : browser;
      refresh();
      return true;
    });
  // The waveform's code also loads after the first paint, and before the page shows that it is ready.
  const rest = [import("./view/player"), import("wavesurfer.js/plugins/record")];
  Promise.all([browser.ready, ...rest]).then(
    () => header.showReady(),
    (error: Error) => {
      header.showStatus(`${strings.loading.failed} ${strings.loading.failedNext}`, "failed");
      console.error(error);
    },
  );
  window.addEventListener("hashchange", () => go(true));
  go(false);
}

function go(focus: boolean): void {
  const hash = location.hash.slice(1) as Name;
  const name = NAMES.includes(hash) ? hash : "try";
  for (const other of NAMES) {
    const view = views[other];
    if (other !== name && !view.element.hidden) view.hide?.();
    view.element.hidden = other !== name;
  }
  header.showView(name);
  views[name].show?.();
  document.title = name === "try" ? strings.title : `${strings.nav[name]} · ${strings.name}`;
  if (focus) {
    const heading = views[name].element.querySelector("h1");
    heading?.setAttribute("tabindex", "-1");
    heading?.focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
  }
}

async function ownModel(): Promise<Model | null> {
  try {
    const answer = await fetch(MODEL.description);
    return answer.ok ? ((await answer.json()) as Model) : null;
  } catch {
    return null;
  }
}

/** Wait until the browser has painted the page. */
function painted(): Promise<void> {
  return new Promise((resolve) => {
    const soon = setTimeout(resolve, 200); // a page in the background is not painted
    requestAnimationFrame(() =>
      setTimeout(() => {
        clearTimeout(soon);
        resolve();
      }),
    );
  });
}
