/** The header: name, views, choice of engine, language, theme. Also the privacy promise in the footer. */
import { keep, kept } from "../kept";
import { type Language, LANGUAGES, strings } from "../language";
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
  private readonly status = h("span", { class: "status", role: "status" });
  private readonly fill = h("span", { class: "loading-fill" });
  private readonly promiseText = h("span", {});
  private readonly nav: HTMLElement;
  private readonly languages = h("div", { class: "languages" });
  private readonly themeButton: HTMLButtonElement;
  private drawWhere: () => void = () => undefined;
  private statusText = (): string => strings.loading.starting;
  private at: Where = "browser";
  private model = "";
  private loaded = false;
  private onlyServer = false;

  constructor(names: string[], onTheme: () => void, private readonly onLanguage: (language: Language) => void) {
    this.links = new Map(names.map((name) => [name, h("a", { href: `#${name}` })]));
    const chosen = kept(THEME);
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
    this.themeButton = h("button", {
      type: "button",
      class: "plain",
      onclick: () => {
        const next = theme() === "dark" ? "light" : "dark";
        document.documentElement.dataset.theme = next;
        keep(THEME, next);
        this.labelTheme();
        onTheme();
      },
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.labelTheme();
      onTheme();
    });
    this.nav = h("nav", { class: "nav" }, ...this.links.values());
    this.element = h(
      "header",
      { class: "header" },
      h("a", { class: "brand", href: "#try" }, mark(), h("span", {}, strings.name)),
      this.nav,
      h("div", { class: "header-side" }, this.where, this.languages, this.themeButton),
    );
    this.promise = h(
      "footer",
      { class: "foot" },
      h("p", { class: "promise" }, icon("lock", 18), this.promiseText),
      h("p", { class: "loading" }, this.status, h("span", { class: "loading-track", "aria-hidden": "true" }, this.fill)),
    );
    this.write();
  }

  /** Write all texts in the language of the page. */
  write(): void {
    for (const [name, link] of this.links) link.textContent = strings.nav[name as keyof typeof strings.nav];
    this.nav.setAttribute("aria-label", strings.nav.label);
    this.status.textContent = this.statusText();
    this.labelTheme();
    this.drawLanguages();
    this.writePromise();
    this.drawWhere();
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
    this.statusText = () => (total > 0 ? strings.loading.share(Math.floor(share * 4) / 4) : strings.loading.starting);
    const text = this.statusText();
    if (this.status.textContent !== text && this.at === "browser") this.status.textContent = text;
    this.promise.dataset.state = "loading";
    this.fill.title = strings.percent(share);
  }

  /** The model that the status names. */
  showModel(name: string): void {
    this.model = name;
  }

  showReady(): void {
    this.loaded = true;
    this.showStatus(() => (this.at === "browser" ? strings.loading.ready(this.model) : strings.loading.readyServer(this.model)), "ready");
  }

  showStatus(text: () => string, state: string): void {
    this.statusText = text;
    this.status.textContent = text();
    this.promise.dataset.state = state;
    document.documentElement.dataset.network = state;
  }

  /** Show the switch between browser and server. */
  offerServer(choose: (where: Where) => void): void {
    const radio = (value: Where, text: string): HTMLElement => {
      const input = h("input", { type: "radio", name: "where", value, id: `where-${value}` });
      input.checked = value === this.at;
      input.addEventListener("change", () => {
        choose(value);
        this.switched(value);
      });
      return h("span", { class: "where-option" }, input, h("label", { for: `where-${value}` }, text));
    };
    this.drawWhere = () => {
      const words = strings.where;
      replace(
        this.where,
        h("fieldset", { class: "where" }, h("legend", { class: "only-read" }, words.label), radio("browser", words.browser), radio("server", words.server)),
      );
    };
    this.drawWhere();
  }

  /** Show that recordings are processed on the server, because its model cannot run in this browser. */
  offerOnlyServer(): void {
    this.drawWhere = () =>
      replace(this.where, h("p", { class: "where where-only", title: strings.where.onlyServer(this.model) }, strings.where.server));
    this.drawWhere();
    this.loaded = this.onlyServer = true;
    this.switched("server");
  }

  private switched(where: Where): void {
    this.at = where;
    this.writePromise();
    this.promise.classList.toggle("is-server", where === "server");
    if (this.loaded || where === "server") this.showReady();
  }

  private writePromise(): void {
    const words = strings.where;
    const promise = this.at === "browser" ? words.browserPromise : words.serverPromise;
    this.promiseText.textContent = this.onlyServer ? `${words.onlyServer(this.model)} ${promise}` : promise;
  }

  /** A button for each other language, by its own name; the focus stays on it. */
  private drawLanguages(): void {
    const others = (Object.keys(LANGUAGES) as Language[]).filter((one) => one !== strings.language);
    const hadFocus = this.languages.contains(document.activeElement);
    replace(
      this.languages,
      ...others.map((language) =>
        h("button", { type: "button", class: "plain language", lang: language, title: strings.otherLanguage, onclick: () => this.onLanguage(language) }, LANGUAGES[language].name),
      ),
    );
    if (hadFocus) this.languages.querySelector("button")?.focus();
  }

  private labelTheme(): void {
    const dark = theme() === "dark";
    replace(this.themeButton, icon(dark ? "sun" : "moon", 20));
    this.themeButton.setAttribute("aria-label", dark ? strings.theme.toLight : strings.theme.toDark);
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
