/** The texts of the labelling page, in English or Korean, and the choice between them. */

const KEPT = "emocatcher-language";

const english = {
  language: "en",
  name: "English",
  title: "Label clips",
  results: "Results",
  needsToken: "This server needs a token.",
  use: "Use it",
  wrongToken: "The server does not accept this token.",
  unreachable:
    "The server does not answer. All labels that it confirmed are saved. Start the same command again, and go on in the page that it opens.",
  unplayable: "Skip this clip: the reason is written as its note.",
  start: "Press the button to start the sound.",
  space: "Space",
  whichEmotion: "Which emotion is in the voice?",
  whichLabel: "Which label fits the voice?",
  skip: "Skip",
  undo: "Undo",
  note: "Note",
  noteOf: (text) => `Note: ${text}`,
  noteOnClip: "Note on this clip",
  keep: "Keep",
  showGuess: "Show the model's guess after my choice",
  keys: (n) => `Keys: 1 to ${n} choose, Space plays again, 0 or S skips, U or Backspace undoes, N adds a note.`,
  position: (i, n) => `Clip ${i} of ${n}`,
  play: (i, n) => `Play clip ${i} of ${n}`,
  time: (at, of) => `${number(at, 1)} / ${number(of, 1)} s`,
  lessThanAMinute: "less than a minute left",
  minutesLeft: (n) => `about ${number(n)} min left at this pace`,
  askedAgain: (i) => `Clip ${i} is asked again.`,
  next: (i, n) => `${i} of ${n}. `,
  last: "Last: ",
  skipped: "skipped",
  model: " · model: ",
  withNote: (text) => ` · note: ${text}`,
  noSpeech: "no speech found",
  someDone: (n, of) => `${n} of ${of} clips labelled`,
  allDone: (n) => `All ${n} clips are done`,
  counts: (labelled, skipped, open, out) => `${labelled} labelled, ${skipped} skipped, ${open} to go. All is in ${out}.`,
  back: "Go on labelling",
  again: (n) => (n === 1 ? "Ask the skipped clip again" : `Ask the ${n} skipped clips again`),
  undoLast: "Undo the last label",
  yourLabels: "Your labels",
  youAndModel: "You and the model",
  table: "Table of labels and guesses",
  tableRows: "Rows: your label. Columns: the model's guess.",
  same: (same, n, kappa) =>
    `Same answer for ${same} of ${n} ${n === 1 ? "clip" : "clips"}. Cohen's kappa is ${kappa ?? "undefined, because all answers are one label"}: 0 is agreement by chance, 1 is full agreement.`,
  otherLabels: (n) => `${n === 1 ? "1 clip has" : `${n} clips have`} a label that the model does not know.`,
  counted: "Only labels chosen before the guess was shown are counted.",
  whatNext: "Next",
  nextText: "The labels are saved. Stop the server with Ctrl-C in its terminal, keep the rows of some speakers apart for a test, and adapt the model to the others:",
  labels: {},
};

const korean = {
  language: "ko",
  name: "한국어",
  title: "클립 레이블 달기",
  results: "결과",
  needsToken: "이 서버에는 토큰이 필요합니다.",
  use: "확인",
  wrongToken: "서버가 이 토큰을 받아들이지 않았습니다.",
  unreachable:
    "서버가 응답하지 않습니다. 서버가 확인한 레이블은 모두 저장되어 있습니다. 같은 명령을 다시 실행하고, 새로 열리는 페이지에서 계속하세요.",
  unplayable: "이 클립은 건너뛰세요. 이유가 메모로 기록됩니다.",
  start: "버튼을 누르면 소리가 재생됩니다.",
  space: "스페이스 바",
  whichEmotion: "목소리에 어떤 감정이 담겨 있습니까?",
  whichLabel: "이 목소리에 맞는 레이블은 무엇입니까?",
  skip: "건너뛰기",
  undo: "되돌리기",
  note: "메모",
  noteOf: (text) => `메모: ${text}`,
  noteOnClip: "이 클립의 메모",
  keep: "저장",
  showGuess: "레이블을 고른 뒤 모델의 추측 보기",
  keys: (n) => `1~${n}: 고르기, 스페이스 바: 다시 재생, 0 또는 S: 건너뛰기, U 또는 Backspace: 되돌리기, N: 메모.`,
  position: (i, n) => `클립 ${i}/${n}`,
  play: (i, n) => `클립 ${i}/${n} 재생`,
  time: (at, of) => `${number(at, 1)} / ${number(of, 1)}초`,
  lessThanAMinute: "남은 시간 1분 미만",
  minutesLeft: (n) => `이 속도라면 약 ${number(n)}분 남음`,
  askedAgain: (i) => `클립 ${i}: 다시 묻습니다.`,
  next: (i, n) => `${n}개 중 ${i}번째. `,
  last: "직전: ",
  skipped: "건너뜀",
  model: " · 모델: ",
  withNote: (text) => ` · 메모: ${text}`,
  noSpeech: "음성을 찾지 못함",
  someDone: (n, of) => `클립 ${of}개 중 ${n}개에 레이블을 달았습니다`,
  allDone: (n) => `클립 ${n}개를 모두 마쳤습니다`,
  counts: (labelled, skipped, open, out) => `레이블을 단 클립 ${labelled}개, 건너뛴 클립 ${skipped}개, 남은 클립 ${open}개. 저장된 파일: ${out}`,
  back: "레이블 계속 달기",
  again: (n) => `건너뛴 클립 ${n}개 다시 듣기`,
  undoLast: "마지막 레이블 되돌리기",
  yourLabels: "내가 단 레이블",
  youAndModel: "나와 모델",
  table: "레이블과 추측의 표",
  tableRows: "행: 내가 단 레이블. 열: 모델의 추측.",
  same: (same, n, kappa) =>
    `클립 ${n}개 중 ${same}개에서 답이 같습니다. ${
      kappa === null ? "모든 답이 한 레이블이어서 코헨의 카파는 정의되지 않습니다." : `코헨의 카파: ${kappa} (0은 우연히 일치하는 정도, 1은 완전한 일치).`
    }`,
  otherLabels: (n) => `모델이 모르는 레이블을 단 클립: ${n}개.`,
  counted: "추측을 보기 전에 고른 레이블만 셉니다.",
  whatNext: "다음 단계",
  nextText: "레이블이 저장되었습니다. 터미널에서 Ctrl-C를 눌러 서버를 멈추고, 테스트에 쓸 몇몇 화자의 행을 따로 떼어 둔 뒤, 나머지 레이블로 모델을 적응시키세요.",
  labels: {
    neutral: "중립",
    calm: "평온",
    happy: "행복",
    sad: "슬픔",
    angry: "분노",
    fearful: "두려움",
    disgust: "혐오",
    surprised: "놀람",
  },
};

const LANGUAGES = { en: english, ko: korean };

/** The texts in the language that was chosen, or else in the first of the browser's that there is. */
export const words = LANGUAGES[[location.hash.slice(1), kept(KEPT) ?? "", ...navigator.languages].map(primary).find((one) => Object.hasOwn(LANGUAGES, one)) ?? "en"];

function primary(tag) {
  return tag.toLowerCase().split("-")[0];
}

/** What this browser keeps under a name, until its tab is closed or for the next visit; null without storage. */
export function kept(name, storage = "localStorage") {
  try {
    return window[storage].getItem(name);
  } catch {
    return null;
  }
}

/** Keep a value under a name, or nothing (null); return whether the browser allows it. */
export function keep(name, value, storage = "localStorage") {
  try {
    if (value === null) window[storage].removeItem(name);
    else window[storage].setItem(name, value);
    return true;
  } catch {
    return false;
  }
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(words.language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export function percent(share) {
  return new Intl.NumberFormat(words.language, { style: "percent" }).format(share);
}

/** A label in the language of the page; one that it has no word for, as it is. */
export function nameOf(label) {
  return Object.hasOwn(words.labels, label) ? words.labels[label] : label;
}

/** Write the texts of the document, and add a button for the other language, by its own name. */
export function translate(place) {
  document.documentElement.lang = words.language;
  document.title = `${words.title} · EmoCatcher`;
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = words[one.dataset.text];
  for (const one of document.querySelectorAll("[data-name]")) one.setAttribute("aria-label", words[one.dataset.name]);
  for (const other of Object.values(LANGUAGES)) {
    if (other === words) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chip";
    button.lang = other.language;
    button.textContent = other.name;
    button.addEventListener("click", () => {
      location.hash = keep(KEPT, other.language) ? "" : other.language;
      location.reload(); // nothing is lost: the server has all labels
    });
    place.prepend(button);
  }
}
