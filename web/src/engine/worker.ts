/** The network, in a worker of its own, so that the page never freezes: samples in, answers out. */
import * as ort from "onnxruntime-web/wasm";
import { resample } from "../audio/resample";
import type { Model, Window } from "../types";
import { cuts } from "./cuts";
import type { Ask, Heard, Tell } from "./messages";
import { toWindow } from "./said";

const QUIET_DB = -55; // of the loudest 50 ms; a voice near a microphone lies above -40
const LOUDEST_S = 0.05;
const WARM_RUNS = 8; // until the browser has compiled the network's inner loops a second time, four times as fast
const WARM_S = 3;
const LONG_S = 10; // of a recording whose windows come first: as a whole it takes a while, in which nothing is to be seen

let session: ort.InferenceSession | undefined;
let model: Model;
let asked = false; // whether anything was to be heard yet
let last: Promise<unknown> = Promise.resolve(); // one run at a time
const cancelled = new Set<number>();
const tell = (message: Tell): void => self.postMessage(message);

self.onmessage = async ({ data }: MessageEvent<Ask>) => {
  try {
    if (data.kind === "load") await load(data);
    else if (data.kind === "hear") await hear(data);
    else if (data.kind === "window") await hearWindow(data);
    else cancelled.add(data.job);
  } catch (error) {
    const job = "job" in data ? data.job : undefined;
    tell({ kind: "fault", message: error instanceof Error ? error.message : String(error), job });
  }
};

async function load(ask: Extract<Ask, { kind: "load" }>): Promise<void> {
  const start = performance.now();
  model = ask.model;
  const loaded = [0, 0];
  const totals = [0, 0];
  const report = (i: number) => (n: number, total: number) => {
    loaded[i] = n;
    totals[i] = total;
    tell({ kind: "progress", loaded: loaded[0] + loaded[1], total: totals[0] && totals[1] ? totals[0] + totals[1] : 0 });
  };
  const headers = ask.token ? { Authorization: `Bearer ${ask.token}` } : undefined;
  const [runtime, network] = await Promise.all([
    bytes(ask.wasmUrl, report(0)),
    bytes(ask.modelUrl, report(1), headers),
  ]);
  ort.env.wasm.wasmBinary = runtime.buffer as ArrayBuffer;
  // More threads need headers that not every web host sends, and one clip is too little work to share out.
  ort.env.wasm.numThreads = 1;
  session = await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
  await run(new Float32Array(model.sample_rate_hz)); // the first run allocates; nobody should wait for it
  tell({ kind: "ready", loadMs: performance.now() - start });
  await warm();
}

/** Practises on noise as long as nobody asks for anything. */
async function warm(): Promise<void> {
  const noise = Float32Array.from({ length: WARM_S * model.sample_rate_hz }, () => 0.2 * (Math.random() - 0.5));
  for (let i = 0; i < WARM_RUNS; i++) {
    await breath();
    if (asked) return;
    await run(noise);
  }
}

async function bytes(
  url: string,
  report: (loaded: number, total: number) => void,
  headers?: Record<string, string>,
): Promise<Uint8Array> {
  const answer = await fetch(url, { headers });
  if (!answer.ok || !answer.body) throw new Error(`${url}: ${answer.status}`);
  // The length is of what was sent, which may be compressed: then the share loaded is not known.
  const total = answer.headers.get("Content-Encoding") ? 0 : Number(answer.headers.get("Content-Length") ?? 0);
  const parts: Uint8Array[] = [];
  let n = 0;
  const stream = answer.body.getReader();
  for (let next = await stream.read(); !next.done; next = await stream.read()) {
    parts.push(next.value);
    report((n += next.value.length), total);
  }
  const whole = new Uint8Array(n);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function hear(ask: Extract<Ask, { kind: "hear" }>): Promise<void> {
  asked = true;
  const start = performance.now();
  const waveform = resample(ask.samples, ask.rate, model.sample_rate_hz);
  const resampledMs = performance.now() - start;
  const whole = async (): Promise<void> => {
    const before = performance.now();
    const heard = await run(waveform);
    tell({ kind: "heard", job: ask.job, heard, tookMs: resampledMs + performance.now() - before });
  };
  const isLong = waveform.length > LONG_S * model.sample_rate_hz;
  if (!isLong) await whole();
  const hopLength = Math.round(model.frame_period_s * model.sample_rate_hz);
  const all = cuts(waveform.length, model.sample_rate_hz, hopLength, ask.windowS, ask.hopS);
  for (const [i, cut] of all.entries()) {
    await breath();
    if (cancelled.delete(ask.job)) return;
    const heard = await run(waveform.subarray(cut.first, Math.max(cut.last, cut.first + 1)));
    const window: Window = toWindow(heard, model, cut.startS, cut.endS, cut.first / model.sample_rate_hz);
    tell({ kind: "window", job: ask.job, window, done: i + 1, of: all.length });
  }
  if (isLong) {
    await breath();
    if (cancelled.delete(ask.job)) return;
    await whole();
  }
  tell({ kind: "finished", job: ask.job });
}

async function hearWindow(ask: Extract<Ask, { kind: "window" }>): Promise<void> {
  asked = true;
  const start = performance.now();
  const heard = await run(resample(ask.samples, ask.rate, model.sample_rate_hz));
  tell({ kind: "heard", job: ask.job, heard, tookMs: performance.now() - start });
}

async function run(waveform: Float32Array): Promise<Heard> {
  if (!session) throw new Error("the network is not loaded yet");
  const rate = model.sample_rate_hz;
  const given = new ort.Tensor("float32", waveform, [waveform.length]);
  const running = last.then(() => session?.run({ waveform: given }));
  last = running.catch(() => undefined);
  const said = (await running) as ort.InferenceSession.OnnxValueMapType;
  const list = (name: string): number[] => Array.from(said[name].data as Float32Array);
  const [voicedStartS] = list("voiced_start_s");
  const [voicedEndS] = list("voiced_end_s");
  const loudest = loudestDb(waveform, Math.round(LOUDEST_S * rate));
  return {
    probabilities: list("probabilities"),
    attention: list("attention"),
    voicedStartS,
    voicedEndS,
    durationS: waveform.length / rate,
    rmsDb: rmsDb(waveform, Math.floor(voicedStartS * rate), Math.floor(voicedEndS * rate)),
    silent: loudest === -Infinity,
    quiet: loudest < QUIET_DB,
  };
}

function rmsDb(waveform: Float32Array, first: number, last: number): number {
  const end = Math.min(Math.max(last, first + 1), waveform.length);
  let sum = 0;
  for (let i = first; i < end; i++) sum += waveform[i] * waveform[i];
  return 10 * Math.log10(Math.max(sum / Math.max(end - first, 1), 1e-20));
}

function loudestDb(waveform: Float32Array, n: number): number {
  let highest = 0;
  for (let start = 0; start < waveform.length; start += n) {
    let sum = 0;
    const end = Math.min(start + n, waveform.length);
    for (let i = start; i < end; i++) sum += waveform[i] * waveform[i];
    highest = Math.max(highest, sum / (end - start));
  }
  return 10 * Math.log10(highest);
}

/** Lets messages in: one of them may say that nobody waits for this any more. */
function breath(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
