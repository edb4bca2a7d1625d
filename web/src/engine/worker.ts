/** Runs the network in a web worker, so that the page stays responsive. */
import * as ort from "onnxruntime-web/wasm";
import { removeOffset } from "../audio/offset";
import { resample } from "../audio/resample";
import type { Model, Window } from "../types";
import { cuts } from "./cuts";
import type { WorkerRequest, NetworkOutput, WorkerReply } from "./messages";
import { toWindow } from "./predictions";

const QUIET_DB = -55; // of the loudest 50 ms; a voice near a microphone is above -40 dB
const LOUDEST_S = 0.05;
const WARM_RUNS = 8; // after these, the browser has optimised the network's inner loops, which are then four times as fast
const WARM_S = 3;
const LONG_S = 10; // longer recordings show their windows first, because the whole takes a while

let session: ort.InferenceSession | undefined;
let model: Model;
let requested = false; // whether any job has arrived
let last: Promise<unknown> = Promise.resolve(); // one run at a time
const cancelled = new Set<number>();
const reply = (message: WorkerReply): void => self.postMessage(message);

self.onmessage = async ({ data }: MessageEvent<WorkerRequest>) => {
  try {
    if (data.kind === "load") await load(data);
    else if (data.kind === "recognise") await recognise(data);
    else if (data.kind === "window") await recogniseWindow(data);
    else cancelled.add(data.job);
  } catch (error) {
    const job = "job" in data ? data.job : undefined;
    reply({ kind: "fault", message: error instanceof Error ? error.message : String(error), job });
  }
};

async function load(request: Extract<WorkerRequest, { kind: "load" }>): Promise<void> {
  const start = performance.now();
  model = request.model;
  const loaded = [0, 0];
  const totals = [0, 0];
  const report = (i: number) => (n: number, total: number) => {
    loaded[i] = n;
    totals[i] = total;
    reply({ kind: "progress", loaded: loaded[0] + loaded[1], total: totals[0] && totals[1] ? totals[0] + totals[1] : 0 });
  };
  const headers = request.token ? { Authorization: `Bearer ${request.token}` } : undefined;
  const [runtime, network] = await Promise.all([
    bytes(request.wasmUrl, report(0)),
    bytes(request.modelUrl, report(1), headers),
  ]);
  ort.env.wasm.wasmBinary = runtime.buffer as ArrayBuffer;
  // More threads need headers that not every web host sends, and one clip is too little work to divide.
  ort.env.wasm.numThreads = 1;
  session = await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
  await run(new Float32Array(model.sample_rate_hz)); // the first run allocates memory; no user should wait for it
  reply({ kind: "ready", loadMs: performance.now() - start });
  await warm();
}

/** Run the network on noise until the first job arrives, so that the browser optimises it. */
async function warm(): Promise<void> {
  const noise = Float32Array.from({ length: WARM_S * model.sample_rate_hz }, () => 0.2 * (Math.random() - 0.5));
  for (let i = 0; i < WARM_RUNS; i++) {
    await yieldToMessages();
    if (requested) return;
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
  // `Content-Length` counts the bytes sent. If they are compressed, the share loaded is unknown.
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

async function recognise(request: Extract<WorkerRequest, { kind: "recognise" }>): Promise<void> {
  requested = true;
  const start = performance.now();
  const waveform = resample(removeOffset(request.samples), request.rate, model.sample_rate_hz);
  const resampledMs = performance.now() - start;
  const whole = async (): Promise<void> => {
    const before = performance.now();
    const output = await run(waveform);
    reply({ kind: "recognised", job: request.job, output, tookMs: resampledMs + performance.now() - before });
  };
  const isLong = waveform.length > LONG_S * model.sample_rate_hz;
  if (!isLong) await whole();
  const hopLength = Math.round(model.frame_period_s * model.sample_rate_hz);
  const all = cuts(waveform.length, model.sample_rate_hz, hopLength, request.windowS, request.hopS);
  for (const [i, cut] of all.entries()) {
    await yieldToMessages();
    if (cancelled.delete(request.job)) return;
    const output = await run(waveform.subarray(cut.first, Math.max(cut.last, cut.first + 1)));
    const window: Window = toWindow(output, model, cut.startS, cut.endS, cut.first / model.sample_rate_hz);
    reply({ kind: "window", job: request.job, window, done: i + 1, of: all.length });
  }
  if (isLong) {
    await yieldToMessages();
    if (cancelled.delete(request.job)) return;
    await whole();
  }
  reply({ kind: "finished", job: request.job });
}

async function recogniseWindow(request: Extract<WorkerRequest, { kind: "window" }>): Promise<void> {
  requested = true;
  const start = performance.now();
  const output = await run(resample(removeOffset(request.samples), request.rate, model.sample_rate_hz));
  reply({ kind: "recognised", job: request.job, output, tookMs: performance.now() - start });
}

async function run(waveform: Float32Array): Promise<NetworkOutput> {
  if (!session) throw new Error("the network is not loaded yet");
  const rate = model.sample_rate_hz;
  const given = new ort.Tensor("float32", waveform, [waveform.length]);
  const running = last.then(() => session?.run({ waveform: given }));
  last = running.catch(() => undefined);
  const outputs = (await running) as ort.InferenceSession.OnnxValueMapType;
  const list = (name: string): number[] => Array.from(outputs[name].data as Float32Array);
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

/** Let the worker receive messages, such as a cancellation. */
function yieldToMessages(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
