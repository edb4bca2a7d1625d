/** The engine on a server: a client of the API of `emocatcher serve`. Its answers are plain: the page adjusts them. */
import { strings } from "../language";
import { type Model, PageError, type Prediction, type Recording, type Timeline, type Window } from "../types";
import { summarise, isLong } from "./summary";
import { type Engine, HOP_S, type Callbacks, type Live, WINDOW_S } from "./engine";

interface Problem {
  title?: string;
  detail?: string;
}

export interface ListenClip {
  id: string;
  duration_s: number;
}

export class ServerEngine implements Engine {
  readonly where = "server";
  token = "";

  /**
   * The server's model; null if the server requires another token.
   * @throws PageError if it does not answer, or with an error
   */
  async model(): Promise<Model | null> {
    let answer = await this.tryFetch("v1/model", {});
    // A server that is still starting answers 503; retry for up to 10 s.
    for (let tries = 1; answer.status === 503 && tries < 10; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      answer = await this.tryFetch("v1/model", {});
    }
    if (answer.status === 401 || answer.status === 403) return null;
    if (!answer.ok) throw await problem(answer);
    return (await answer.json()) as Model;
  }

  async recognise(recording: Recording, callbacks: Callbacks, signal: AbortSignal): Promise<void> {
    const start = performance.now();
    const form = (): FormData => {
      const data = new FormData();
      data.append("file", recording.file, recording.name);
      return data;
    };
    const post = async <T>(path: string): Promise<T> =>
      (await this.requestJson(path, { method: "POST", body: form(), signal })) as T;
    try {
      const long = isLong(recording.durationS);
      if (!long) {
        const prediction = await post<Prediction>("v1/predict?settled=");
        if (signal.aborted) return;
        callbacks.onPrediction(prediction, performance.now() - start);
      }
      const timeline = await post<Timeline>(`v1/timeline?window_s=${WINDOW_S}&hop_s=${HOP_S}&settled=`);
      if (signal.aborted) return;
      callbacks.onWindows(timeline.windows, 1);
      if (long) callbacks.onPrediction(summarise(timeline), performance.now() - start); // as v1/predict does
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  live(rate: number, onWindow: (window: Window) => void, onError: (error: Error) => void): Live {
    const address = new URL("v1/stream", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    let ready = false;
    let stopped = false;
    const early: Float32Array[] = [];
    const send = (block: Float32Array): void => socket.send(block as Float32Array<ArrayBuffer>);
    socket.onopen = () => {
      const hello = { type: "hello", sample_rate: rate, encoding: "float32", window_s: WINDOW_S, hop_s: HOP_S, settled: "" };
      socket.send(JSON.stringify(this.token ? { ...hello, token: this.token } : hello));
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data as string) as { type: string } & Problem & Window;
      if (message.type === "ready") {
        ready = true;
        early.splice(0).forEach(send);
      } else if (message.type === "window" && !stopped) onWindow(message);
      else if (message.type === "error")
        onError(new PageError(message.detail ?? message.title ?? "", strings.errors.streamNext, "en"));
    };
    socket.onclose = ({ code }) => {
      if (!stopped && code !== 1000) onError(new PageError(strings.errors.streamClosed(code), strings.errors.streamNext));
      stopped = true;
    };
    return {
      push: (block) => {
        if (stopped) return;
        if (ready) send(block);
        else early.push(block);
      },
      stop: () => {
        stopped = true;
        if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "finish" }));
        else socket.close();
      },
    };
  }

  async listenClips(): Promise<{ clips: ListenClip[]; labels: string[] }> {
    return (await this.requestJson("v1/listen/clips", {})) as { clips: ListenClip[]; labels: string[] };
  }

  async listenAudio(id: string): Promise<Blob> {
    const answer = await this.fetch(`v1/listen/clips/${encodeURIComponent(id)}/audio`);
    if (!answer.ok) throw await problem(answer);
    return answer.blob();
  }

  async guess(id: string, emotion: string): Promise<{ emotion: string; prediction: Prediction }> {
    return (await this.requestJson(`v1/listen/clips/${encodeURIComponent(id)}/guess`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ emotion }),
    })) as { emotion: string; prediction: Prediction };
  }

  private async requestJson(path: string, options: RequestInit): Promise<unknown> {
    const answer = await this.tryFetch(path, options);
    if (!answer.ok) throw await problem(answer);
    return answer.json();
  }

  private async tryFetch(path: string, options: RequestInit): Promise<Response> {
    try {
      return await this.fetch(path, options);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new PageError(strings.errors.unreachable, strings.errors.unreachableNext);
    }
  }

  private fetch(path: string, options: RequestInit = {}): Promise<Response> {
    const headers = new Headers(options.headers);
    if (this.token) headers.set("Authorization", `Bearer ${this.token}`);
    return fetch(new URL(path, document.baseURI), { ...options, headers });
  }
}

async function problem(answer: Response): Promise<PageError> {
  const details = (await answer.json().catch(() => ({}))) as Problem;
  const told = details.detail ?? details.title;
  const wait = answer.headers.get("Retry-After");
  const next = wait ? strings.errors.busyNext(wait) : strings.errors.serverNext;
  return told === undefined ? new PageError(strings.errors.status(answer.status), next) : new PageError(told, next, "en");
}
