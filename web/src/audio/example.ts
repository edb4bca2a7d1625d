/** The example: a synthetic voice, which `example.py` makes when the page is built. */
import example from "../generated/example.json";
import { strings } from "../language";

export function exampleFile(): File {
  const bytes = Uint8Array.from(atob(example.data), (letter) => letter.charCodeAt(0));
  return new File([bytes], strings.try.exampleName, { type: example.type });
}
