/** The page: header, views and engines, in one language. Loads the network right after the first paint, and nothing later. */
import { AdjustedEngine } from "./engine/adjustment";
import { BrowserEngine } from "./engine/browser";
import type { Engine } from "./engine/engine";
import { ServerEngine } from "./engine/server";
import { choose, type Language, LANGUAGES, preferred, strings, useLanguage } from "./language";
import { type Model, PageError } from "./types";
import { AboutView } from "./view/about";
import { Adjusting } from "./view/adjusting";
import { h, replace } from "./view/dom";
import { GuessView } from "./view/guess";
import { Header } from "./view/header";
import { LiveView } from "./view/live";
import { announce, announcer, Notice } from "./view/notice";
import { setLabels } from "./view/shades";
import type { State, View } from "./view/state";
import { tokenForm } from "./view/token";
import { TryView } from "./view/try";

type Name = "try" | "live" | "guess" | "about";
const NAMES: Name[] = ["try", "live", "guess", "about"];
const MODEL = { description: "model/model.json", graph: "model/waveform.onnx" };

const page = document.getElementById("page") as HTMLElement;
const main = h("main", { id: "main", tabindex: -1 });
await useLanguage(preferred());
document.title = strings.title;
markLanguage();
const header = new Header(NAMES, () => Object.values(views).forEach((view: View) => view.refresh?.()), (language) => void changeLanguage(language));
const skip = h("a", { class: "skip", href: "#main", onclick: (event: Event) => (event.preventDefault(), main.focus()) }, strings.skip);
const views = {} as { try: TryView; live: LiveView; guess: GuessView; about: AboutView };
let state: State | undefined; // as soon as there are views
const fatal = new Notice();

replace(
  page,
  skip,
  header.element,
  main,
  header.promise,
  announcer(),
);
replace(main, h("div", { class: "opening" }, h("p", { class: "busy", role: "status" }, strings.loading.starting)), fatal.element);
void start();

async function start(): Promise<void> {
  // `emocatcher serve` marks the pages it serves; a plain web host has no API to request. The model is then the
  // server's, never the one that the page was built with: the two may have the same name.
  const isServed = document.querySelector("meta[name=emocatcher-server]") !== null;
  const server = isServed ? new ServerEngine() : null;
  let model: Model;
  try {
    model = server ? await servedModel(server) : await ownModel();
  } catch (error) {
    replace(main, h("h1", { class: "only-read" }, strings.name), fatal.element);
    header.showStatus(() => strings.loading.failed, "failed");
    fatal.show(error);
    return;
  }
  setLabels(model.labels);
  header.showModel(model.name);
  await painted();
  const graph = model.waveform_onnx === null ? null : server ? model.waveform_onnx.replace(/^\//, "") : MODEL.graph;
  const browser = graph === null ? null : new BrowserEngine(model, graph, server?.token ?? "", (loaded, total) => header.showProgress(loaded, total));
  const engine = new AdjustedEngine(model, (browser ?? server) as Engine);
  state = { model, engine, server, adjusting: adjusting(model, engine) };
  show(state);
  const onlyServer = (): void => {
    engine.plain = server as Engine;
    header.offerOnlyServer();
  };
  if (!browser) onlyServer();
  else if (server)
    header.offerServer((where) => {
      engine.plain = where === "server" ? server : browser;
      Object.values(views).forEach((view: View) => view.refresh?.());
    });
  // The waveform's code, the example and the other languages also load after the first paint, and before the page shows
  // that it is ready.
  const rest = [
    import("./view/player"),
    import("wavesurfer.js"),
    import("wavesurfer.js/plugins/record"),
    import("./audio/example"),
    ...Object.values(LANGUAGES).map(({ load }) => load()),
  ];
  const loaded = browser?.ready.catch((error: Error) => {
    console.error(error);
    if (!server) throw error;
    onlyServer();
  });
  Promise.all<unknown>([loaded, ...rest]).then(
    () => header.showReady(),
    () => header.showStatus(() => `${strings.loading.failed} ${strings.loading.failedNext}`, "failed"),
  );
  window.addEventListener("hashchange", () => go(true));
}

function markLanguage(): void {
  document.documentElement.lang = strings.language;
  document.querySelector("meta[name=description]")?.setAttribute("content", strings.description);
}

function adjusting(model: Model, engine: AdjustedEngine, before?: Adjusting): Adjusting {
  return new Adjusting(model, engine, () => Object.values(views).forEach((view: View) => view.adjusted?.()), before);
}

/** Make the views, which continue what those in another language did. */
function show(state: State): void {
  views.try = new TryView(state, views.try);
  views.live = new LiveView(state);
  views.guess = new GuessView(state, views.guess);
  views.about = new AboutView(state);
  replace(main, ...NAMES.map((name) => views[name].element));
  go(false);
}

async function changeLanguage(language: Language): Promise<void> {
  await choose(language);
  if (!state) return location.reload(); // nothing is lost, as there is no view yet
  for (const view of Object.values(views) as View[]) view.hide?.(); // closes the microphone
  markLanguage();
  skip.textContent = strings.skip;
  header.write();
  state.adjusting = adjusting(state.model, state.engine, state.adjusting);
  show(state);
  announce(strings.changed);
}

/** The server's model, after its token if it requires one. */
async function servedModel(server: ServerEngine): Promise<Model> {
  for (let wrong = false; ; wrong = true) {
    const model = await server.model();
    if (model) return model;
    await new Promise<void>((resolve) => {
      const form = tokenForm(wrong, (token) => {
        server.token = token;
        resolve();
      });
      replace(main, h("h1", { class: "only-read" }, strings.name), form);
      header.promise.hidden = true; // nothing is being loaded yet, and the token is a request
      form.querySelector("input")?.focus();
    });
    header.promise.hidden = false;
  }
}

function go(focus: boolean): void {
  const hash = location.hash.slice(1) as Name;
  const name = NAMES.includes(hash) ? hash : "try";
  for (const other of NAMES) {
    const view: View = views[other];
    if (other !== name && !view.element.hidden) view.hide?.();
    view.element.hidden = other !== name;
  }
  header.showView(name);
  (views[name] as View).show?.();
  document.title = name === "try" ? strings.title : `${strings.nav[name]} · ${strings.name}`;
  if (focus) {
    const heading = views[name].element.querySelector("h1");
    heading?.setAttribute("tabindex", "-1");
    heading?.focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
  }
}

async function ownModel(): Promise<Model> {
  const answer = await fetch(MODEL.description).catch(() => null);
  if (!answer?.ok) throw new PageError(strings.loading.failed, strings.loading.failedNext);
  return (await answer.json()) as Model;
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
