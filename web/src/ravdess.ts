/** RAVDESS's file names say what was acted: as `emocatcher.corpora.ravdess` reads them. */
import { facts } from "./facts";

const NAME = /^03-01-(?!01-02)(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])$/;

/** The emotion of a clip of RAVDESS's speech; null for any other name. */
export function emotionOf(fileName: string): string | null {
  const stem = fileName.replace(/^.*[/\\]/, "").replace(/\.[^.]*$/, "");
  const found = NAME.exec(stem);
  return found ? (facts.ravdess_emotions[Number(found[1]) - 1] ?? null) : null;
}
