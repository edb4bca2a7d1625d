/** State shared by all views: the model and the engines. */
import type { AdjustedEngine } from "../engine/adjustment";
import type { ServerEngine } from "../engine/server";
import type { Model } from "../types";
import type { Adjusting } from "./adjusting";

export interface State {
  readonly model: Model; // with all its emotions
  readonly engine: AdjustedEngine; // adjusts the answers of the selected one
  readonly server: ServerEngine | null;
  adjusting: Adjusting; // its element stands in the view that is shown
}

/** A view, created once, then shown and hidden. */
export interface View {
  readonly element: HTMLElement;
  /** Called when the view is shown. */
  show?(): void;
  /** Called when the view is hidden: stop microphone and playback. */
  hide?(): void;
  /** Called when the theme or the engine changed. */
  refresh?(): void;
  /** Called when the answers change: the model settled, or other emotions were chosen. */
  adjusted?(): void;
}
