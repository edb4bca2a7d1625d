/** What all views share: the model, who listens, and how one waits for it. */
import type { Engine } from "../engine/engine";
import type { ServerEngine } from "../engine/server";
import type { Model } from "../types";

export interface State {
  readonly model: Model; // of the network in this browser
  readonly engine: Engine; // the one that is switched on
  readonly server: ServerEngine | null;
  readonly serverModel: Model | null;
}

/** A view: made once, shown and hidden. */
export interface View {
  readonly element: HTMLElement;
  /** It is looked at now. */
  show?(): void;
  /** It is no longer: what listens or plays stops. */
  hide?(): void;
  /** The theme or the engine changed. */
  refresh?(): void;
}

/** The model that answers now. */
export function answering(state: State): Model {
  return state.engine.where === "server" && state.serverModel ? state.serverModel : state.model;
}
