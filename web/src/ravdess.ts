/** RAVDESS file names contain the acted emotion; read as `emocatcher.corpora.ravdess` does. */
import { facts } from "./facts";

const NAME = /^03-01-(?!01-02)(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])$/;

/** The emotion of a RAVDESS speech clip; null for any other name. */
export function emotionOf(fileName: string): string | null {
  const stem = fileName.replace(/^.*[/\\]/, "").replace(/\.[^.]*$/, "");
  const found = NAME.exec(stem);
  return found ? (facts.ravdess_emotions[Number(found[1]) - 1] ?? null) : null;
}
