/** The labelling page: play a clip, take a label, write it, next. All sound comes from this server as WAV. */
import { keep, kept, nameOf, number as written, percent, translate, words } from "./words.js";

/** A mouth for each emotion on a 24 × 24 grid, so that colour is never the only cue. */
const GLYPHS = {
  neutral: "M5 12h14",
  calm: "M4.5 12.5c2.5-3 5-3 7.5 0s5 3 7.5 0",
  happy: "M4.5 9.5c2 7.5 13 7.5 15 0",
  sad: "M4.5 15.5c2-7.5 13-7.5 15 0",
  angry: "M4.5 15l3.8-6 3.7 6 3.7-6 3.8 6",
  fearful: "M4 12q1.6-4 3.2 0t3.2 0 3.2 0 3.2 0 3.2 0",
  disgust: "M4.5 10h8.5c4 0 6 2 6.5 6",
  surprised: "M12 6.5a5.5 5.5 0 1 0 .01 0z",
};
const PLAY = "M8 5.5v13l10.5-6.5z";
const AHEAD = 2; // clips that are fetched before they are asked
const PACE = 20; // clips, of which the median time gives the time left
const PAUSE_S = 300; // a longer time for one clip was a break
const TOO_SOON_MS = 300; // after a clip is asked: the second half of a double click, or a key that bounces
const TOKEN = "emocatcher-token";
const GUESS_HIDDEN = "emocatcher-guess-hidden";

const at = (id) => document.getElementById(id);
const sound = new Audio();
const sounds = new Map(); // number of a clip → promise of its sound
let about; // what the server knows: labels, colours, clips
let queue = []; // numbers of the clips to ask, the current one first
let answered = []; // numbers of the decided clips, the last one last
let note = "";
let busy = false; // a label is being saved
let shown = null; // the sound on the screen
let askedAt = 0;
let seconds = []; // for the last clips of this visit
let token = kept(TOKEN, "sessionStorage"); // until this tab is closed

// ---------------------------------------------------------------- server

class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function request(method, path, body) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(`/v1/label${path}`, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Problem(words.unreachable, 0);
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({ detail: answer.statusText }));
  if (answer.status === 401) askForToken(Boolean(token));
  throw new Problem(problem.detail, answer.status);
}

const get = async (path) => (await request("GET", path)).json();

function askForToken(wrong) {
  useToken(null);
  at("work").hidden = at("results").hidden = true;
  at("token-form").hidden = false;
  at("token").focus();
  if (wrong) tell(words.wrongToken);
}

function useToken(given) {
  token = given;
  keep(TOKEN, given, "sessionStorage");
}

/** @param language of the text: the server's words are English */
function tell(text, language = words.language) {
  at("notice").hidden = !text;
  at("notice").lang = language;
  at("notice").textContent = text ?? "";
}

/** Run one action at a time; show why it failed. */
async function guarded(action) {
  if (busy) return;
  busy = true;
  try {
    tell(null);
    await action();
  } catch (error) {
    if (error.status !== 401) tell(error.message, error.status ? "en" : words.language);
    if (error.status === 409) await refresh().catch(() => undefined); // labelled in another tab
  } finally {
    busy = false;
  }
}

// ---------------------------------------------------------------- sound

/** Return the promise of a clip's sound: its address, length and outline, or why it cannot be played. */
function soundOf(number) {
  if (!sounds.has(number)) sounds.set(number, load(number));
  return sounds.get(number);
}

async function load(number) {
  try {
    const bytes = await (await request("GET", `/clips/${number}/audio`)).arrayBuffer();
    return { number, ...outline(bytes), address: URL.createObjectURL(new Blob([bytes], { type: "audio/wav" })) };
  } catch (error) {
    if (error.status === 422 || error.status === 413) return { number, reason: error.message };
    sounds.delete(number); // to be tried again
    throw error;
  }
}

/** Read the samples of a 16-bit WAV file with one channel. */
function outline(bytes) {
  const view = new DataView(bytes);
  const rate = view.getUint32(24, true);
  let start = 12;
  while (view.getUint32(start, false) !== 0x64617461) start += 8 + view.getUint32(start + 4, true); // "data"
  const samples = new Int16Array(bytes.slice(start + 8, start + 8 + view.getUint32(start + 4, true)));
  let loudest = 1;
  const nBins = Math.min(400, samples.length);
  const bins = Array.from({ length: nBins }, (_, i) => {
    let [low, high] = [0, 0];
    const end = Math.ceil(((i + 1) * samples.length) / nBins);
    for (let k = Math.floor((i * samples.length) / nBins); k < end; k++) {
      low = Math.min(low, samples[k]);
      high = Math.max(high, samples[k]);
    }
    loudest = Math.max(loudest, -low, high);
    return [low, high];
  });
  return { bins: bins.map((pair) => pair.map((value) => value / loudest)), durationS: samples.length / rate };
}

function forget() {
  const wanted = new Set(queue.slice(0, AHEAD + 1));
  for (const [number, promise] of sounds) {
    if (wanted.has(number) || shown?.number === number) continue;
    sounds.delete(number);
    promise.then(({ address }) => address && URL.revokeObjectURL(address)).catch(() => undefined);
  }
}

async function play() {
  if (!shown) return present(queue[0]); // it could not be fetched before
  if (!shown.address) return;
  sound.currentTime = 0;
  try {
    await sound.play();
    at("start").hidden = true;
  } catch (error) {
    // Browsers play no sound before the first click or key.
    if (error.name === "NotAllowedError") at("start").hidden = false;
  }
}

function draw() {
  const canvas = at("waveform");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const target = canvas.getContext("2d");
  target.setTransform(ratio, 0, 0, ratio, 0, 0);
  target.clearRect(0, 0, width, height);
  if (!shown?.bins) return;
  const style = getComputedStyle(canvas);
  const colours = ["--ink", "--wave"].map((name) => probe(style, name));
  const played = shown.durationS ? sound.currentTime / shown.durationS : 0;
  const step = width / shown.bins.length;
  shown.bins.forEach(([low, high], i) => {
    target.fillStyle = colours[i / shown.bins.length < played ? 0 : 1];
    const top = (height / 2) * (1 - high * 0.94);
    target.fillRect(i * step, top, Math.max(step - 0.4, 0.6), Math.max((height / 2) * (1 - low * 0.94) - top, 1));
  });
  at("time").textContent = words.time(sound.currentTime, shown.durationS);
  if (!sound.paused) requestAnimationFrame(draw);
}

/** The value of a colour that depends on the theme, which a canvas does not resolve. */
function probe(style, name) {
  const [light, dark] = style.getPropertyValue(name).match(/#[0-9a-f]{6}/gi);
  return matchMedia("(prefers-color-scheme: dark)").matches ? dark : light;
}

// ---------------------------------------------------------------- asking

async function ask() {
  const [number] = queue;
  if (!number) return showResults();
  at("results").hidden = true;
  at("work").hidden = false;
  at("show-results").hidden = false;
  note = "";
  showNote(false);
  sound.pause();
  shown = null;
  askedAt = 0;
  showProgress();
  at("undo").disabled = answered.length === 0;
  at("unplayable").hidden = at("start").hidden = true;
  at("player").hidden = false;
  at("time").textContent = "…";
  document.title = `${at("position").textContent} · EmoCatcher`;
  draw();
  at("play").setAttribute("aria-label", words.play(number, about.clips.length));
  at("play").focus({ preventScroll: true });
  void present(number);
}

/** Fetch a clip's sound and play it; until it is there, the clip can be skipped. */
async function present(number) {
  let loaded;
  try {
    loaded = await soundOf(number);
  } catch (error) {
    if (error.status !== 401) tell(error.message, error.status ? "en" : words.language);
    return;
  }
  if (queue[0] !== number || shown?.number === number || at("work").hidden) return;
  shown = loaded;
  askedAt = performance.now();
  at("player").hidden = Boolean(loaded.reason);
  at("unplayable").hidden = !loaded.reason;
  if (loaded.reason) {
    const reason = element("span", "", `${loaded.reason}.`);
    reason.lang = "en";
    at("unplayable").replaceChildren(reason, ` ${words.unplayable}`);
    at("skip").focus({ preventScroll: true });
  } else {
    sound.src = loaded.address;
    draw();
    void play();
  }
  for (const choice of document.querySelectorAll(".choice")) choice.disabled = Boolean(loaded.reason);
  for (const next of queue.slice(1, AHEAD + 1)) soundOf(next).catch(() => undefined);
  forget();
}

function showProgress() {
  const nDone = about.clips.length - queue.length;
  at("position").textContent = words.position(Math.min(nDone + 1, about.clips.length), about.clips.length);
  at("progress").max = about.clips.length;
  at("progress").value = nDone;
  const sorted = [...seconds].sort((a, b) => a - b);
  const minutes = ((sorted[Math.floor(sorted.length / 2)] ?? 0) * queue.length) / 60;
  at("left").textContent =
    seconds.length < 5 ? "" : minutes < 1 ? words.lessThanAMinute : words.minutesLeft(minutes);
}

function decide(label) {
  return guarded(async () => {
    const [number] = queue;
    const isTooSoon = performance.now() - askedAt < TOO_SOON_MS;
    if (!number || (label !== null && (!shown?.address || isTooSoon))) return;
    if (!at("note-form").hidden) note = at("note").value.trim();
    const chosen = label === null ? null : document.querySelector(`.choice[data-label="${CSS.escape(label)}"]`);
    chosen?.classList.add("is-chosen");
    try {
      const { guess, ...clip } = await (await request("PUT", `/clips/${number}`, { label, note })).json();
      about.clips[number - 1] = clip;
      const took = (performance.now() - askedAt) / 1000;
      if (took < PAUSE_S && askedAt) seconds = [...seconds, took].slice(-PACE);
      queue.shift();
      answered = [...answered.filter((other) => other !== number), number];
      showLast(number, guess);
    } finally {
      setTimeout(() => chosen?.classList.remove("is-chosen"), 160);
    }
    await ask();
  });
}

function undo() {
  return guarded(async () => {
    const number = answered.at(-1);
    if (!number) return;
    const text = about.clips[number - 1].note;
    about.clips[number - 1] = await (await request("DELETE", `/clips/${number}`)).json();
    answered.pop();
    queue = [number, ...queue.filter((other) => other !== number)];
    at("last").replaceChildren(words.askedAgain(number));
    await ask();
    note = text;
    showNote(false);
  });
}

// ---------------------------------------------------------------- after the choice

function showLast(number, guess) {
  const { label, name, note: kept } = about.clips[number - 1];
  // The position is said first, because screen readers read this line after each label.
  const now = element("span", "only-read", queue.length > 0 ? words.next(about.clips.length - queue.length + 1, about.clips.length) : "");
  const parts = [now, words.last, ...(label ? named(label) : [words.skipped])];
  if (about.guesses && at("guess-shown").checked && label) {
    if (guess) parts.push(words.model, ...guessed(guess));
    else void showGuessLater(number);
  }
  if (kept) parts.push(words.withNote(kept.length > 60 ? `${kept.slice(0, 60)}…` : kept));
  at("last").replaceChildren(...parts);
  at("last").title = name ?? "";
}

async function showGuessLater(number) {
  const guess = await get(`/clips/${number}/guess`).catch(() => null);
  if (guess && answered.at(-1) === number) showLast(number, guess);
}

function guessed({ emotion, probability }) {
  return emotion === null ? [words.noSpeech] : [...named(emotion), ` ${percent(probability)}`];
}

// ---------------------------------------------------------------- results

async function showResults() {
  sound.pause();
  at("work").hidden = true;
  at("show-results").hidden = true;
  at("results").hidden = false;
  const labelled = about.clips.filter(({ label }) => label);
  const skipped = about.clips.flatMap(({ decided, label }, i) => (decided && !label ? [i + 1] : []));
  const open = queue.length > 0;
  at("results-heading").textContent = open ? words.someDone(labelled.length, about.clips.length) : words.allDone(about.clips.length);
  at("results-lead").textContent = words.counts(labelled.length, skipped.length, queue.length, about.out);
  at("back").hidden = !open;
  at("again").hidden = open || skipped.length === 0;
  at("again").textContent = words.again(skipped.length);
  at("again").onclick = () => guarded(() => ((queue = skipped), ask()));
  at("undo-last").hidden = answered.length === 0;
  const most = Math.max(1, ...about.labels.map((label) => labelled.filter((one) => one.label === label).length));
  const used = [...new Set([...about.labels, ...labelled.map(({ label }) => label)])];
  at("counts").replaceChildren(
    ...used.map((label) => {
      const n = labelled.filter((one) => one.label === label).length;
      const bar = element("span");
      bar.style.width = `${(100 * n) / most}%`;
      const track = element("span", "track");
      track.append(bar);
      const row = coloured(element("li"), label);
      row.append(glyph(label), nameOf(label), track, element("span", "number", written(n)));
      return row;
    }),
  );
  at("next").hidden = labelled.length === 0;
  const channels = about.channels === "mix" ? "" : ` --channels ${about.channels}`;
  at("command").textContent = `emocatcher adapt ${quoted(about.out)}${channels} --to models/mine`;
  at("results-heading").focus();
  at("agreement").hidden = true;
  if (about.guesses) showAgreement(await get("/agreement"));
}

function showAgreement(found) {
  if (found.labels.length === 0) return;
  at("agreement").hidden = false;
  at("share").hidden = found.share === null;
  at("share").textContent = found.share === null ? "" : percent(found.share);
  const kappa = found.kappa === null ? null : written(found.kappa, 2).replace("-", "−");
  const same = found.n ? words.same(found.n_same, found.n, kappa) : "";
  const other = found.n_other ? words.otherLabels(found.n_other) : "";
  at("agreement-text").textContent = `${same} ${other} ${words.counted}`;
  const table = element("table");
  table.createCaption().textContent = words.tableRows;
  const head = table.createTHead().insertRow();
  head.append(heading("", "col"), ...found.guesses.map((guess) => heading(guess, "col", true)));
  const body = table.createTBody();
  found.labels.forEach((label, i) => {
    const row = body.insertRow();
    row.append(heading(label, "row"));
    const total = found.counts[i].reduce((sum, n) => sum + n, 0);
    found.guesses.forEach((_, j) => {
      const n = found.counts[i][j];
      const cell = row.insertCell();
      cell.textContent = written(n);
      cell.className = j === found.same[i] ? "is-same" : n ? "is-other" : "is-none";
      cell.style.setProperty("--part", String(n / total));
    });
  });
  at("table-place").replaceChildren(table);
}

function heading(label, scope, short = false) {
  const cell = coloured(element("th"), label);
  cell.scope = scope;
  if (!label) return cell;
  const name = element("span", short ? "only-read" : "", nameOf(label));
  cell.title = nameOf(label);
  cell.append(glyph(label), " ", name);
  return cell;
}

/** The text as one argument in a shell. */
function quoted(text) {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

// ---------------------------------------------------------------- parts

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function coloured(target, label) {
  target.classList.add("emotion");
  target.style.setProperty("--c", about.colours[label] ?? "#888888");
  return target;
}

function named(label) {
  const place = coloured(element("span"), label);
  place.append(glyph(label), ` ${nameOf(label)}`);
  return [place];
}

function glyph(label, size = 22) {
  return drawing(
    "glyph",
    size,
    Object.hasOwn(GLYPHS, label)
      ? ["path", { d: GLYPHS[label], fill: "none", stroke: "currentColor", "stroke-width": 2.6, "stroke-linecap": "round", "stroke-linejoin": "round" }]
      : ["text", { x: 12, y: 17, "text-anchor": "middle", "font-size": 15, "font-weight": 700, fill: "currentColor" }, label.charAt(0).toUpperCase()],
  );
}

function drawing(className, size, [name, attributes, text = ""]) {
  const space = "http://www.w3.org/2000/svg";
  const [outer, inner] = [document.createElementNS(space, "svg"), document.createElementNS(space, name)];
  const around = { class: className, viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true" };
  for (const [key, value] of Object.entries(around)) outer.setAttribute(key, value);
  for (const [key, value] of Object.entries(attributes)) inner.setAttribute(key, value);
  inner.textContent = text;
  outer.append(inner);
  return outer;
}

function showNote(open) {
  at("note-form").hidden = !open;
  const text = note ? words.noteOf(note.length > 24 ? `${note.slice(0, 24)}…` : note) : words.note;
  at("note-open").replaceChildren(`${text} `, element("kbd", "", "N"));
  if (open) {
    at("note").value = note;
    at("note").focus();
  }
}

function closeNote(keep) {
  if (keep) note = at("note").value.trim();
  showNote(false);
  at("play").focus({ preventScroll: true });
}

// ---------------------------------------------------------------- keys and start

function onKey(event) {
  if (event.repeat || event.isComposing || event.altKey || event.ctrlKey || event.metaKey || at("work").hidden) return;
  if (event.target === at("note")) {
    if (event.key === "Escape") closeNote(false);
    return;
  }
  // On a French keyboard, for example, the keys of the digits write them only with Shift.
  const digit = /^[0-9]$/.test(event.key) ? event.key : (/^Digit([0-9])$/.exec(event.code)?.[1] ?? "");
  // While a Korean keyboard writes Hangul, for example, the key of S writes ㄴ.
  const letter = (/^[a-z]$/i.test(event.key) ? event.key : (/^Key([A-Z])$/.exec(event.code)?.[1] ?? "")).toLowerCase();
  const label = about.labels[Number(digit) - 1];
  const isPressed = event.target instanceof HTMLElement && event.target.matches("button, input, a");
  if (label) void decide(label);
  else if (digit === "0" || letter === "s") void decide(null);
  else if (letter === "u" || event.key === "Backspace") void undo();
  else if (letter === "n") showNote(true);
  else if (event.key === " " && !isPressed) void play(); // a button in focus is pressed instead
  else return;
  event.preventDefault();
}

async function refresh() {
  about = await get("");
  queue = about.clips.flatMap(({ decided }, i) => (decided ? [] : [i + 1]));
  answered = about.clips
    .flatMap(({ decided, at: when }, i) => (decided ? [{ number: i + 1, when: when ?? "" }] : []))
    .sort((one, other) => (one.when < other.when ? -1 : one.when > other.when ? 1 : 0))
    .map(({ number }) => number);
  await ask();
}

async function start() {
  about = await get("");
  at("token-form").hidden = true;
  at("listener").textContent = about.listener && `· ${about.listener}`;
  at("question").textContent = about.labels.every((label) => Object.hasOwn(GLYPHS, label))
    ? words.whichEmotion
    : words.whichLabel;
  at("guess-option").hidden = !about.guesses;
  at("guess-shown").checked = kept(GUESS_HIDDEN) === null;
  at("keys").textContent = words.keys(about.labels.length);
  at("choices").replaceChildren(
    ...about.labels.map((label, i) => {
      const choice = coloured(element("button", "choice"), label);
      choice.type = "button";
      choice.dataset.label = label;
      choice.setAttribute("aria-keyshortcuts", String(i + 1));
      const key = element("kbd", "", String(i + 1));
      key.setAttribute("aria-hidden", "true");
      choice.append(glyph(label, 28), element("span", "", nameOf(label)), key);
      choice.addEventListener("click", () => void decide(label));
      return choice;
    }),
  );
  await refresh();
}

translate(document.querySelector(".header-side"));
at("play").append(drawing("icon", 26, ["path", { d: PLAY, fill: "currentColor" }]));
at("play").addEventListener("click", () => void play());
at("skip").addEventListener("click", () => void decide(null));
at("undo").addEventListener("click", () => void undo());
at("undo-last").addEventListener("click", () => void undo());
at("note-open").addEventListener("click", () => showNote(at("note-form").hidden));
at("note-form").addEventListener("submit", (event) => {
  event.preventDefault();
  closeNote(true);
});
at("guess-shown").addEventListener("change", ({ target }) => {
  keep(GUESS_HIDDEN, target.checked ? null : "1");
});
at("show-results").addEventListener("click", () => void guarded(showResults));
at("back").addEventListener("click", () => void guarded(ask));
at("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(at("token").value);
  void guarded(start);
});
at("waveform").addEventListener("pointerdown", (event) => {
  if (!shown?.address) return;
  sound.currentTime = (event.offsetX / at("waveform").clientWidth) * shown.durationS;
  void sound.play();
});
for (const name of ["play", "pause", "seeked", "ended"]) sound.addEventListener(name, () => draw());
new ResizeObserver(() => draw()).observe(at("waveform"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
document.addEventListener("keydown", onKey);
void guarded(start);
