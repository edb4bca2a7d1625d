/**
 * The page's language: the first of the visitor's languages that there is, or the one that was chosen before. Each is a
 * chunk of its own; the page loads one before it is painted, and the others when it is ready, so that a switch sends no
 * request.
 */
import { keep, kept } from "./kept";
import type { strings as english } from "./strings.en";

/** The texts of the page in one language. */
export type Strings = typeof english;
export type Language = "en" | "ko";

const KEPT = "emocatcher-language";

/** Each language by its own name. */
export const LANGUAGES: Record<Language, { name: string; load: () => Promise<{ strings: Strings }> }> = {
  en: { name: "English", load: () => import("./strings.en") },
  ko: { name: "한국어", load: () => import("./strings.ko") },
};

/** The texts in the language of the page. */
export let strings: Strings;

export async function useLanguage(language: Language): Promise<void> {
  ({ strings } = await LANGUAGES[language].load());
}

/** Change the language, and keep the choice for the next visit. */
export async function choose(language: Language): Promise<void> {
  await useLanguage(language);
  keep(KEPT, language);
}

/** @param asked language tags, the most wanted first */
export function preferred(asked = [kept(KEPT) ?? "", ...navigator.languages]): Language {
  const known = asked.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => Object.hasOwn(LANGUAGES, tag));
  return (known as Language | undefined) ?? "en";
}

/** A label of a model in the page's language; one that the page has no word for, as it is. */
export function nameOf(label: string): string {
  return Object.hasOwn(strings.labels, label) ? strings.labels[label] : label;
}
