/** Runs the network in a web worker, so that the page stays responsive. */
import * as ort from "onnxruntime-web/wasm";
import { removeOffset } from "../audio/offset";
import { resample } from "../audio/resample";
import { facts } from "../facts";
import { centresHz, cutFrames, floored, levels, logMel, type Spectrogram } from "../features/log_mel";
import { cutGate, gateSpectrogram, speechOdds } from "../features/speech_gate";
import { largest } from "../features/statistics";
import type { Model, Window } from "../types";
import { cuts } from "./cuts";
import type { WorkerRequest, NetworkOutput, WorkerReply } from "./messages";
import { toWindow } from "./predictions";
import { isLong } from "./summary";

const WARM_RUNS = 8; // after these, the browser has optimised the network's inner loops, which are then four times as fast
const WARM_S = 3;

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
  await recogniseNoise(1); // the first run allocates memory; no user should wait for it
  reply({ kind: "ready", loadMs: performance.now() - start });
  await warm();
}

/** Run the network on noise until the first job arrives, so that the browser optimises it. */
async function warm(): Promise<void> {
  for (let i = 0; i < WARM_RUNS; i++) {
    await yieldToMessages();
    if (requested) return;
    await recogniseNoise(WARM_S);
  }
}

async function recogniseNoise(lengthS: number): Promise<void> {
  const noise = Float32Array.from({ length: lengthS * model.sample_rate_hz }, () => 0.2 * (Math.random() - 0.5));
  await run(noise, gateSpectrogram(noise, model.front_end), () => logMel(noise, model.front_end));
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
  const forGate = gateSpectrogram(waveform, model.front_end);
  const resampledMs = performance.now() - start;
  const long = isLong(request.samples.length / request.rate);
  if (!long) {
    const before = performance.now();
    const output = await run(waveform, forGate, () => logMel(waveform, model.front_end));
    reply({ kind: "recognised", job: request.job, output, tookMs: resampledMs + performance.now() - before });
  }
  // The answer for a long recording is that of its windows, and so are the warnings.
  const wholeLevels = long ? levels(waveform, model.front_end) : null;
  const hopLength = Math.round(model.frame_period_s * model.sample_rate_hz);
  const all = cuts(waveform.length, model.sample_rate_hz, hopLength, request.windowS, request.hopS);
  for (const [i, cut] of all.entries()) {
    await yieldToMessages();
    if (cancelled.delete(request.job)) return;
    const part = waveform.subarray(cut.first, Math.max(cut.last, cut.first + 1));
    const partLogMel = (): Spectrogram => {
      const firstFrame = cut.first / hopLength;
      return floored(cutFrames(wholeLevels!, firstFrame, firstFrame + 1 + Math.floor(part.length / hopLength)), model.front_end);
    };
    const output = await run(part, cutGate(forGate, cut.startS, cut.endS - cut.startS), wholeLevels ? partLogMel : undefined);
    const window: Window = toWindow(output, model, cut.startS, cut.endS, cut.first / model.sample_rate_hz);
    reply({ kind: "window", job: request.job, window, output, done: i + 1, of: all.length });
  }
  reply({ kind: "finished", job: request.job });
}

async function recogniseWindow(request: Extract<WorkerRequest, { kind: "window" }>): Promise<void> {
  requested = true;
  const start = performance.now();
  const waveform = resample(removeOffset(request.samples), request.rate, model.sample_rate_hz);
  const output = await run(waveform, gateSpectrogram(waveform, model.front_end));
  reply({ kind: "recognised", job: request.job, output, tookMs: performance.now() - start });
}

/**
 * @param forGate what the speech gate reads of this waveform
 * @param forBand makes its log-mel spectrogram, if the band of the voiced span is to be measured
 */
async function run(waveform: Float32Array, forGate: Spectrogram, forBand?: () => Spectrogram): Promise<NetworkOutput> {
  if (!session) throw new Error("the network is not loaded yet");
  const rate = model.sample_rate_hz;
  const given = new ort.Tensor("float32", waveform, [waveform.length]);
  const running = last.then(() => session?.run({ waveform: given }));
  last = running.catch(() => undefined);
  const outputs = (await running) as ort.InferenceSession.OnnxValueMapType;
  const list = (name: string): number[] => Array.from(outputs[name].data as Float32Array);
  const [voicedStartS] = list("voiced_start_s");
  const [voicedEndS] = list("voiced_end_s");
  const speech = speechOdds(forGate) > 0;
  return {
    probabilities: list("probabilities"),
    attention: list("attention"),
    dimensions: "dimensions" in outputs ? list("dimensions") : [],
    voicedStartS,
    voicedEndS,
    durationS: waveform.length / rate,
    rmsDb: rmsDb(waveform, Math.floor(voicedStartS * rate), Math.floor(voicedEndS * rate)),
    speech,
    ...(forBand && speech
      ? measureBand(forBand(), waveform.length / rate, voicedStartS, voicedEndS)
      : { loudestDb: 0, highDb: 0 }),
  };
}

/** Measure the level of the voiced span above the telephone band. */
function measureBand(
  whole: Spectrogram,
  durationS: number,
  startS: number,
  endS: number,
): Pick<NetworkOutput, "loudestDb" | "highDb"> {
  const frontEnd = model.front_end;
  const frame = (timeS: number): number => Math.round((timeS * frontEnd.sample_rate) / frontEnd.hop_length);
  // The span's end is cut at the end of the recording, which lies within the last frame.
  const last = endS >= durationS - 1e-4 ? whole.nFrames : frame(endS);
  const span = cutFrames(whole, Math.min(frame(startS), last - 1), last);
  const firstHigh = centresHz(frontEnd).filter((hz) => hz < facts.band_hz).length;
  const high = firstHigh === span.nMels ? null : largest(span.cells.filter((_, i) => i % span.nMels >= firstHigh));
  const loudestDb = largest(span.cells);
  return { loudestDb, highDb: high === null ? 0 : high - loudestDb };
}

function rmsDb(waveform: Float32Array, first: number, last: number): number {
  const end = Math.min(Math.max(last, first + 1), waveform.length);
  let sum = 0;
  for (let i = first; i < end; i++) sum += waveform[i] * waveform[i];
  return 10 * Math.log10(Math.max(sum / Math.max(end - first, 1), 1e-20));
}

/** Let the worker receive messages, such as a cancellation. */
function yieldToMessages(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
