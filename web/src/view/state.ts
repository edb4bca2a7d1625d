/** State shared by all views: the model and the engines. */
import type { Engine } from "../engine/engine";
import type { ServerEngine } from "../engine/server";
import type { Model } from "../types";

export interface State {
  readonly model: Model; // of both engines
  readonly engine: Engine; // the selected one
  readonly server: ServerEngine | null;
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
}
