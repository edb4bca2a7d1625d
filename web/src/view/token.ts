/** The question for the token of a server that requires one. */
import { strings } from "../language";
import { h } from "./dom";

/** @param wrong whether the last token was refused */
export function tokenForm(wrong: boolean, onToken: (token: string) => void): HTMLElement {
  const words = strings.where;
  const input = h("input", { type: "password", id: "token", autocomplete: "off", required: true });
  return h(
    "form",
    {
      class: "token card",
      onsubmit: (event: Event) => {
        event.preventDefault();
        onToken(input.value);
      },
    },
    h("label", { for: "token" }, words.token),
    input,
    h("button", { type: "submit", class: "button is-first" }, words.tokenUse),
    h("p", { class: "note", role: "alert" }, wrong ? words.tokenWrong : words.tokenWhy),
  );
}
