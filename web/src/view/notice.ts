/** Error notices, and announcements for screen readers. */
import { strings } from "../language";
import { PageError } from "../types";
import { h, replace } from "./dom";
import { icon } from "./icons";

export class Notice {
  readonly element = h("div", { class: "notice", role: "alert" });

  show(error: unknown): void {
    const shown =
      error instanceof PageError
        ? error
        : new PageError(
            strings.errors.unexpected(error instanceof Error ? error.message : String(error)),
            strings.errors.unexpectedNext,
          );
    replace(
      this.element,
      icon("warning", 22),
      h("div", {}, h("p", { class: "notice-what", lang: shown.language }, shown.what), h("p", { class: "notice-next" }, shown.next)),
      h("button", { type: "button", class: "plain", "aria-label": strings.errors.close, onclick: () => this.clear() }, icon("cross", 18)),
    );
    this.element.classList.add("is-shown");
  }

  clear(): void {
    replace(this.element);
    this.element.classList.remove("is-shown");
  }
}

const spoken = h("div", { class: "only-read", role: "status", "aria-live": "polite" });

export function announcer(): HTMLElement {
  return spoken;
}

export function announce(text: string): void {
  spoken.textContent = text;
}
