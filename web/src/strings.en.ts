/** All texts of the page, in English. Another language is another file of the same shape. */
import type { LeftOut, Segment, Window } from "./types";

const MOST_NAMED = 4; // channels in a caution


export const percent = (share: number): string => `${Math.round(100 * share)}%`;
export const seconds = (value: number, digits = 1): string => `${value.toFixed(digits)} s`;

/** "0:03.2" */
export function clock(timeS: number): string {
  const tenths = Math.floor(10 * timeS + 1e-6);
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}

export const strings = {
  language: "en",
  name: "EmoCatcher",
  title: "EmoCatcher: speech emotion recognition in your browser",
  description: "Drop a recording or speak: see which emotion it sounds like, how certain that is, and where. It runs in your browser.",
  noScript: "This page runs a neural network in your browser, and needs JavaScript for it.",
  skip: "Skip to the content",

  nav: { label: "Views", try: "Try it", live: "Live", guess: "Guess first", about: "About the model" },
  theme: { toDark: "Dark colours", toLight: "Light colours" },

  where: {
    label: "Where recordings are processed",
    browser: "In this browser",
    server: "On this server",
    browserPromise: "Nothing you play or say leaves this machine. After loading, this page sends no requests.",
    serverPromise: "Recordings are sent to the server of this page and processed there.",
    onlyServer: (model: string) => `The model ${model} runs on this server only: it cannot run in this browser.`,
    token: "Access token of the server",
    tokenWhy: "This server shows its model and accepts recordings only with a token.",
    tokenUse: "Use it",
    tokenWrong: "The server did not accept this token. Ask its operator for the right one.",
  },

  loading: {
    starting: "Loading the network…",
    share: (share: number) => `Loading the network: ${percent(share)}`,
    ready: (model: string) => `Ready. The model ${model} runs in this browser.`,
    readyServer: (model: string) => `Ready. The model ${model} runs on the server.`,
    failed: "The network could not be loaded.",
    failedNext: "Check the connection, then load the page again.",
  },

  try: {
    heading: "What does this voice sound like?",
    lead: "See which emotion it sounds like, how certain that is, and where in the recording.",
    drop: "Drop a recording here",
    dropFormats: "WAV, FLAC, MP3, M4A, Ogg, Opus, WebM; up to ten minutes",
    choose: "Choose a file",
    record: "Record",
    example: "Try an example",
    exampleName: "synthetic-voice.mp3",
    exampleText:
      "This example is a synthetic voice, made by a program that changes pitch, tempo, loudness and timbre from sentence to sentence. The model was trained on people, so its answers here show how the page works, and no more.",
    stop: "Stop and recognise",
    recording: (timeS: number) => `Recording ${clock(timeS)}`,
    recordingName: "recording.wav",
    recordingStarts: "Recording. Speak a sentence as you would to another person.",
    recordingFull: (most: number) => `The recording was stopped at ${most / 60} minutes, the most that this page takes.`,
    recordingTooShort: "That recording is empty.",
    recordingTooShortNext: "Record again, and speak for a second or more.",
    known: (n: number) => `The model distinguishes ${n} emotions. Each has its own colour and symbol.`,
    reading: (name: string) => `Reading ${name}…`,
    recognising: "Recognising…",
    whole: "The whole recording",
    moment: "At this moment",
    momentAt: (timeS: number) => `At ${clock(timeS)}`,
    momentHint: "Play or move the cursor to see the three seconds around it",
    momentNone: "Nothing here is loud enough to be a voice",
    momentPending: "Not processed yet",
    probabilities: "Probability of each emotion",
    play: "Play",
    pause: "Pause",
    position: "Position in the recording",
    positionText: (timeS: number, answer: string) => `${clock(timeS)}, ${answer}`,
    keys: "Space plays and pauses. Arrow keys move by a tenth of a second, Page Up and Page Down by one.",
    rows: { emotion: "Emotion", wave: "Waveform", attention: "Attention", over: "Probabilities" },
    attentionExplained: "Where the model attends for its answer on the whole recording.",
    momentUnsure: "The model is not sure here.",
    wholeBusy: "Processing the recording as a whole",
    timelineBusy: (share: number) => `Processing the recording window by window: ${percent(share)}`,
    segmentsLabel: "Emotion over time",
    segmentText: ({ emotion, probability, abstain }: Segment | Window) =>
      emotion === null ? "no voice" : `${abstain ? "not sure, " : ""}${emotion} ${percent(probability ?? 0)}`,
    doubtful: (emotion: string) => `${emotion}?`,
    between: (from: number, to: number) => `from ${clock(from)} to ${clock(to)}`,
    noVoice: "no voice",
  },

  settle: {
    label: "Adjust the answers",
    heading: "Get used to me",
    lead: "Record about ten sentences, or choose recordings of the same voice, room and microphone. What all the answers to them have in common is then subtracted from every answer.",
    noLabels: "They need no labels. A varied set helps: speak cheerfully, calmly, sadly, annoyed. This page forgets it when it is closed.",
    progress: "Recordings so far",
    of: (n: number, enough: number) => (n < enough ? `${n} of ${enough} recordings.` : `${n} recordings.`),
    fewest: (n: number) => `${n} or more are needed.`,
    record: "Record a sentence",
    stop: "Stop",
    choose: "Choose files",
    use: "Use these",
    starts: "Recording. Speak a sentence.",
    sentence: (n: number) => `Sentence ${n}`,
    reading: (name: string, i: number, n: number) => (n > 1 ? `Processing ${name}, ${i} of ${n}…` : `Processing ${name}…`),
    noSpeech: (name: string) => `${name} has no speech, and does not count.`,
    settledOn: (n: number) => `Settled on ${n} recordings`,
    inUse: (n: number) => `Settled on ${n} recordings: from now on every answer uses them. Add more, or close this with the button above.`,
    answer: (n: number) => `Settled on ${n} recordings: what their answers have in common is subtracted.`,
    forget: "Forget",
    forgotten: "Forgotten. The model answers as before.",
  },

  emotions: {
    button: "Only some emotions",
    only: (n: number) => `Only ${n} emotions`,
    all: "All emotions",
    legend: "Answer with these emotions only",
    text: "The others are left out, and the probabilities of the rest sum to 100%.",
    few: "Choose two or more.",
  },

  answer: {
    sure: (emotion: string, p: number) => `${emotion} ${percent(p)}`,
    unsure: (first: string, p: number, second: string, q: number) =>
      `not sure: ${first} ${percent(p)}, ${second} ${percent(q)}`,
    notSure: "Not sure",
    nobody: "No speech found",
    others: (share: number) => `others ${percent(share)}`,
    ofSpeech: (s: number) => `of ${seconds(s)} of speech`,
    shares: "Share of the speech, by emotion",
    sharesText: "A long recording has several sentences, so its answer is how much of the speech each emotion has.",
    between: (first: string, p: number, second: string, q: number) => `${first} ${percent(p)}, ${second} ${percent(q)}`,
    below: (threshold: number) => `No emotion reaches ${percent(threshold)}, the threshold below which this model gives no answer.`,
    margin: (points: number, second: string) =>
      `${Math.round(100 * points)} ${Math.round(100 * points) === 1 ? "point" : "points"} ahead of ${second}`,
    voice: (from: number, to: number) => `Voice from ${from.toFixed(2)} to ${to.toFixed(2)} s`,
    noVoice: "No voice found",
    most: (at: number) => `most attended at ${at.toFixed(2)} s`,
    took: (ms: number, where: "browser" | "server") =>
      `Answered in ${Math.round(ms)} ms, ${where === "browser" ? "in this browser" : "by the server"}`,
    warnings: "Treat with care",
    noWarnings: "The checks found no reason to doubt this answer.",
    checked: "What is checked",
    checkedHere:
      "Whether there is speech, whether the voice is shorter or longer than in training, and whether the recording is clipped, of a narrow band, very quiet or cut off.",
    checkedServer:
      "A server and the command line ask a second network where it is doubtful whether a sound is speech; here, a simpler check decides alone.",
    checkedThere: "The server ran all checks.",
  },

  cautions: {
    noSpeech: "no speech was found, so there is no emotion",
    truncated: (s: number) => `the file breaks off: only the first ${s.toFixed(2)} s were used`,
    rescaled: (divisor: number) =>
      `rescaled: the samples were divided by ${divisor.toLocaleString("en-US")}, because their values are beyond full scale`,
    channelsCancel: (leftOut: LeftOut[]) =>
      `a voice in opposite phase, or late, in several channels; left out: ${leftOut
        .slice(0, MOST_NAMED)
        .map((one) => `channel ${one.channel + 1} from ${one.startS.toFixed(1)} to ${one.endS.toFixed(1)} s`)
        .join(", ")}${leftOut.length > MOST_NAMED ? ` and ${leftOut.length - MOST_NAMED} more` : ""}`,
    tooShort: (s: number, least: number) => `only ${s.toFixed(2)} s of voice: at least ${least} s are needed`,
    tooLong: (s: number, most: number) =>
      `${s.toFixed(2)} s of voice, but the model was trained on at most ${most.toFixed(2)} s: use the timeline`,
    clipped: (peak: number) => `clipped: samples stay at the peak, ${peak.toFixed(3)} of full scale`,
    narrowBand: (highDb: number, bandHz: number) =>
      `narrow band: nothing within ${Math.round(-highDb)} dB of the loudest lies above ${(bandHz / 1000).toFixed(1)} kHz, as over a telephone`,
    veryQuiet: (db: number) => `very quiet: ${Math.round(-db)} dB rms below full scale`,
  },

  save: {
    label: "Save",
    json: "Answer, JSON",
    timelineJson: "Timeline, JSON",
    csv: "Timeline, CSV",
    srt: "Subtitles, SRT",
    svg: "Picture, SVG",
    png: "Picture, PNG",
    done: (name: string) => `Saved ${name}`,
  },

  live: {
    heading: "Live",
    lead: "The emotion of the last three seconds, updated every half second while you speak.",
    start: "Start the microphone",
    stop: "Stop",
    idle: "The microphone is off.",
    waiting: "The microphone is on. The first answer follows after one second.",
    now: "The last three seconds",
    quiet: "quiet",
    chart: "The last minute",
    chartText: (answer: string) => `The last minute. Newest: ${answer}.`,
    ago: (s: number) => (s === 0 ? "now" : `${s} s ago`),
    answer: (emotion: string, p: number) => `${emotion} ${percent(p)}`,
    stopped: (s: number) => `Stopped after ${clock(s)}.`,
  },

  guess: {
    heading: "Guess first",
    lead: "Listen to a clip, guess its emotion, and compare yourself with the model. The author of the original project scored 60%.",
    fromServer: "Clips from this server",
    fromFiles: "Your own copies of RAVDESS clips",
    fromFilesText:
      "Files named like 03-01-05-02-01-01-16.wav: the third number is the acted emotion. They stay on this machine.",
    serverHint: "A server started with emocatcher serve --listen-corpus FOLDER provides clips.",
    chooseFiles: "Choose files",
    dropFiles: "or drop them anywhere here",
    howMany: "How many",
    start: "Start the round",
    tellMe: "Show the answer after each clip",
    tellMeText: "You learn from the answers, so later guesses are no longer first guesses.",
    noneNamed: (n: number) => `None of the ${n === 1 ? "file" : `${n} files`} is named like a RAVDESS speech clip of an emotion that the model distinguishes.`,
    otherLabels: (model: string, labels: string[]) =>
      `The clips of this game have the emotions of RAVDESS in their names. The model ${model} distinguishes others (${labels.join(", ")}), so there is nothing to compare.`,
    noneNamedNext: "Choose files with their published names, such as 03-01-05-02-01-01-16.wav.",
    ignored: (n: number) => `${n} ${n === 1 ? "file" : "files"} with other names ignored.`,
    clip: (i: number, n: number) => `Clip ${i} of ${n}`,
    play: "Play the clip",
    question: "Which emotion is it?",
    keys: (n: number) => `Keys 1 to ${n} answer, Space plays.`,
    right: "Right",
    wrong: (truth: string) => `It was acted as ${truth}`,
    modelAnswer: (emotion: string | null, p: number | null) =>
      emotion === null ? "The model found no speech." : `The model’s answer: ${emotion}, ${percent(p ?? 0)}`,
    next: "Next clip",
    finish: "Finish here",
    results: "How you compare",
    you: "You",
    model: "The model",
    rightOf: (right: number, n: number) => `${right} of ${n} right`,
    interval: (low: number, high: number) => `95% interval ${percent(low)} to ${percent(high)}`,
    intervalText: "Wilson interval: the range in which the share over many clips would probably lie.",
    seen: "If the model was trained on these clips, its share does not apply to new voices; yours does.",
    confusionOf: (who: string) => `${who}: acted (rows), answered (columns)`,
    confusionCell: (n: number, truth: string, guess: string) => `${n} acted ${truth}, answered ${guess}`,
    acted: "Acted",
    save: "Save as CSV",
    another: "Another round",
    fetching: "Fetching the clip…",
    none: "Nothing was guessed, so there is nothing to compare.",
  },

  about: {
    heading: "About the model",
    labels: "Emotions",
    factsName: "In figures",
    facts: {
      name: "Model",
      parameters: "Parameters",
      rate: "Sample rate",
      corpus: "Trained on",
      protocol: "Protocol",
      shared: "Speakers shared between training and test",
      licence: "Licence",
      temperature: "Temperature",
      threshold: "Gives no answer below",
    },
    yes: "yes",
    no: "no",
    unknown: "not known",
    scores: "Scores",
    falls: "How far the answer’s probability falls without …",
    scoreNames: {
      accuracy: "Accuracy",
      unweighted_average_recall: "Unweighted average recall",
      share_not_abstained: "Share answered",
      accuracy_where_not_abstained: "Accuracy when it answers",
      macro_f1: "Macro F1",
      area_under_risk_coverage: "Error averaged over all thresholds (lower is better)",
      drop_without_most_attended: "the most attended fifth",
      drop_without_random: "a random fifth",
      drop_without_least_attended: "the least attended fifth",
      drop_without_most_important_by_occlusion: "the fifth that matters most by occlusion",
    } as Record<string, string>,
    calibration: "Calibration",
    calibrationText: (before: number, after: number) =>
      `Are answers with a probability of 70% right 70 times in 100? On held-out recordings, the probabilities are off by ${(100 * after).toFixed(1)} points on average; before calibration, by ${(100 * before).toFixed(1)}.`,
    calibrationBefore: "before",
    calibrationAfter: "after",
    calibrationAxis: "expected calibration error",
    calibrationPlot: "Share of right answers against their probability",
    mustNot: "What it must not be used for",
    card: "The whole card",
    privacy: "What this page does with a recording",
    privacyText:
      "In the browser: the recording is decoded, resampled and recognised on this machine, by the same network as in Python. No cookies, no visitor statistics, no fonts or scripts from elsewhere; a content security policy in the page makes the browser refuse to send anything to another host.",
  },

  errors: {
    label: "This did not work",
    close: "Close",
    empty: (name: string) => `${name} is an empty file (0 bytes).`,
    emptyNext: "Record it again, or choose another file.",
    noSamples: (name: string) => `${name} contains no samples.`,
    lowRate: (name: string, rate: number) => `${name} has a sample rate of ${rate} Hz.`,
    lowRateNext: (least: number) => `Give a recording of ${least} Hz or more.`,
    tooLong: (name: string, s: number) => `${name} is ${Math.floor(s / 60)} min ${Math.round(s % 60)} s long.`,
    tooLongNext: (most: number) =>
      `This page takes up to ${most / 60} minutes. For more, use the command line: emocatcher timeline FILE.`,
    scale: (name: string, peak: number) => `${name} has samples up to ${peak.toPrecision(3)}.`,
    scaleNext: "Scale them to -1 … 1.",
    notFinite: (name: string) => `${name} contains NaN or infinite samples.`,
    notFiniteNext: "Export it again from the program that made it.",
    undecodable: (name: string) => `${name} is not a recording that this browser can decode.`,
    undecodableNext: "Give WAV, FLAC, MP3, M4A, Ogg, Opus or WebM; the command line reads more formats.",
    noMicrophone: "No microphone was found.",
    noMicrophoneNext: "Connect one, or drop a recording instead.",
    insecureNext: "Browsers allow a microphone only on pages from https or from this machine. Drop a recording instead.",
    refusedMicrophone: "This page may not use the microphone.",
    refusedMicrophoneNext: "Allow it next to the address bar and try again, or drop a recording instead.",
    network: (message: string) => `The network stopped with an error: ${message}.`,
    networkNext: "Load the page again. If it happens again, try a shorter recording.",
    unreachable: "The server does not answer.",
    unreachableNext: "Check that it is running, or switch to “In this browser”.",
    status: (code: number) => `The server answered with status ${code}.`,
    serverNext: "Try another recording, or switch to “In this browser”.",
    busyNext: (s: string) => `Try again in ${s} s.`,
    streamClosed: (code: number) => `The server ended the stream (${code}).`,
    streamNext: "Start again, or switch to “In this browser”.",
    unexpected: (message: string) => `An unexpected error occurred: ${message}.`,
    unexpectedNext: "Load the page again. If it happens again, please report it.",
  },
};
