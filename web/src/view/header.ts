/** The header: name, views, choice of engine, theme. Also the privacy promise in the footer. */
import { percent, strings } from "../strings.en";
import { h, replace, s } from "./dom";
import { icon } from "./icons";
import { theme } from "./shades";

type Where = "browser" | "server";
const THEME = "emocatcher-theme";

export class Header {
  readonly element: HTMLElement;
  readonly promise: HTMLElement;
  private readonly links: Map<string, HTMLAnchorElement>;
  private readonly where = h("div", { class: "where-place" });
  private readonly status = h("span", { class: "status", role: "status" }, strings.loading.starting);
  private readonly fill = h("span", { class: "loading-fill" });
  private readonly promiseText = h("span", {}, strings.where.browserPromise);
  private readonly themeButton: HTMLButtonElement;
  private at: Where = "browser";
  private model = "";
  private loaded = false;

  constructor(names: string[], onTheme: () => void) {
    this.links = new Map(
      names.map((name) => [name, h("a", { href: `#${name}` }, strings.nav[name as keyof typeof strings.nav])]),
    );
    const kept = stored();
    if (kept) document.documentElement.dataset.theme = kept;
    this.themeButton = h("button", {
      type: "button",
      class: "plain",
      onclick: () => {
        const next = theme() === "dark" ? "light" : "dark";
        document.documentElement.dataset.theme = next;
        try {
          localStorage.setItem(THEME, next);
        } catch {
          // Without storage, the choice lasts until the page is closed.
        }
        this.labelTheme();
        onTheme();
      },
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.labelTheme();
      onTheme();
    });
    this.labelTheme();
    this.element = h(
      "header",
      { class: "header" },
      h("a", { class: "brand", href: "#try" }, mark(), h("span", {}, strings.name)),
      h("nav", { class: "nav", "aria-label": strings.nav.label }, ...this.links.values()),
      h("div", { class: "header-side" }, this.where, this.themeButton),
    );
    this.promise = h(
      "footer",
      { class: "foot" },
      h("p", { class: "promise" }, icon("lock", 18), this.promiseText),
      h("p", { class: "loading" }, this.status, h("span", { class: "loading-track", "aria-hidden": "true" }, this.fill)),
    );
  }

  showView(name: string): void {
    for (const [other, link] of this.links) {
      if (other === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  showProgress(loaded: number, total: number): void {
    const share = total > 0 ? loaded / total : 0;
    this.fill.style.transform = `scaleX(${share})`;
    // Change the text rarely, because screen readers announce each change.
    const text = total > 0 ? strings.loading.share(Math.floor(share * 4) / 4) : strings.loading.starting;
    if (this.status.textContent !== text && this.at === "browser") this.status.textContent = text;
    this.promise.dataset.state = "loading";
    this.fill.title = percent(share);
  }

  /** The model that the status names. */
  showModel(name: string): void {
    this.model = name;
  }

  showReady(): void {
    this.loaded = true;
    this.showStatus(this.at === "browser" ? strings.loading.ready(this.model) : strings.loading.readyServer(this.model), "ready");
  }

  showStatus(text: string, state: string): void {
    this.status.textContent = text;
    this.promise.dataset.state = state;
    document.documentElement.dataset.network = state;
  }

  /** Show the switch between browser and server. */
  offerServer(choose: (where: Where) => void): void {
    const words = strings.where;
    const radio = (value: Where, text: string): HTMLElement => {
      const input = h("input", { type: "radio", name: "where", value, id: `where-${value}` });
      input.checked = value === this.at;
      input.addEventListener("change", () => {
        choose(value);
        this.switched(value);
      });
      return h("span", { class: "where-option" }, input, h("label", { for: `where-${value}` }, text));
    };
    replace(
      this.where,
      h("fieldset", { class: "where" }, h("legend", { class: "only-read" }, words.label), radio("browser", words.browser), radio("server", words.server)),
    );
  }

  /** Show that recordings are processed on the server, because its model cannot run in this browser. */
  offerOnlyServer(): void {
    replace(this.where, h("p", { class: "where where-only", title: strings.where.onlyServer(this.model) }, strings.where.server));
    this.loaded = true;
    this.switched("server");
    this.promiseText.textContent = `${strings.where.onlyServer(this.model)} ${strings.where.serverPromise}`;
  }

  private switched(where: Where): void {
    this.at = where;
    this.promiseText.textContent = where === "browser" ? strings.where.browserPromise : strings.where.serverPromise;
    this.promise.classList.toggle("is-server", where === "server");
    if (this.loaded || where === "server") this.showReady();
  }

  private labelTheme(): void {
    const dark = theme() === "dark";
    replace(this.themeButton, icon(dark ? "sun" : "moon", 20));
    this.themeButton.setAttribute("aria-label", dark ? strings.theme.toLight : strings.theme.toDark);
  }
}

function stored(): "light" | "dark" | null {
  try {
    const kept = localStorage.getItem(THEME);
    return kept === "light" || kept === "dark" ? kept : null;
  } catch {
    return null;
  }
}

function mark(): SVGSVGElement {
  const bars: [number, number, string][] = [
    [5, 5, "surprised"],
    [11, 14, "calm"],
    [17, 20, "angry"],
    [23, 9, "happy"],
  ];
  return s(
    "svg",
    { class: "mark", viewBox: "0 0 28 28", width: 28, height: 28, "aria-hidden": "true" },
    ...bars.map(([x, tall, name]) =>
      s("path", { d: `M${x} ${14 - tall / 2}v${tall}`, class: `mark-${name}`, "stroke-width": 3.2, "stroke-linecap": "round" }),
    ),
  );
}
