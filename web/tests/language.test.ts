import { expect, test } from "vitest";
import { facts } from "../src/facts";
import { nameOf, preferred, type Strings, useLanguage } from "../src/language";
import { strings as english } from "../src/strings.en";
import { strings as korean } from "../src/strings.ko";

type Text = string | ((...values: unknown[]) => string);

// Words that Korean keeps: names, formats, units, commands, and keys of a keyboard.
const KEPT =
  /(?<![A-Za-z])(EmoCatcher|emocatcher (serve --listen-corpus|timeline)|RAVDESS('s)?|WAV|FLAC|MP3|M4A|Ogg|Opus|WebM|JSON|CSV|SRT|SVG|PNG|RMS|NaN|F1|https|Page (Up|Down)|k?Hz|dB|ms|wav|mp3)(?![A-Za-z])/g;
// A form of a particle that is wrong after half of all words.
const PARTICLE = /[0-9⟩](을|를|이|가|은|는|과|와|으로|로)(?=[\s.,)]|$)/;

/** All texts by their path. */
function texts(of: object, place = ""): Map<string, Text> {
  return new Map(
    Object.entries(of).flatMap(([key, value]) =>
      typeof value === "object" ? [...texts(value as object, `${place}${key}.`)] : [[place + key, value as Text]],
    ),
  );
}

const inBoth = ({ percent: _, number: __, seconds: ___, labels: ____, language: _____, ...rest }: Strings) => texts(rest);
const [inEnglish, inKorean] = [inBoth(english), inBoth(korean)];
const functions = [...inEnglish].flatMap(([path, text]) => (typeof text === "function" ? [path] : []));

/** Values that the English text takes: each a number, or else a list. */
function values(path: string): unknown[] {
  const text = inEnglish.get(path) as (...given: unknown[]) => string;
  for (const one of [240, ["⟨1⟩"], [{ channel: 1, startS: 2, endS: 3 }]]) {
    const all = Array.from({ length: text.length }, (_, i) => (i === text.length - 1 ? one : 240));
    try {
      text(...all);
      return all;
    } catch {
      continue;
    }
  }
  throw new Error(path);
}

/** Another value of the same kind. */
function other(value: unknown): unknown {
  if (typeof value === "number") return 541;
  return typeof (value as unknown[])[0] === "string" ? ["⟨2⟩"] : [{ channel: 4, startS: 5, endS: 6 }];
}

test("both languages have the same texts", () => {
  expect([...inKorean.keys()]).toEqual([...inEnglish.keys()]);
  for (const [path, text] of inEnglish) expect(typeof inKorean.get(path), path).toBe(typeof text);
  expect(functions.length).toBeGreaterThan(50);
});

test.each(functions)("what the English text %s inserts, the Korean text inserts too", (path) => {
  const [first, second] = [inEnglish, inKorean].map((all) => all.get(path) as (...given: unknown[]) => string);
  const given = values(path);
  expect(second(...given)).not.toMatch(/undefined|\[object/);
  given.forEach((value, i) => {
    const changed = given.map((one, at) => (at === i ? other(value) : one));
    expect(second(...changed) !== second(...given), `value ${i}`).toBe(first(...changed) !== first(...given));
  });
});

test("Korean texts have no English word, no particle whose form depends on an inserted word, and no doubled blank", () => {
  for (const [path, text] of inKorean) {
    const shown = typeof text === "string" ? text : text(...values(path));
    expect(shown.replace(KEPT, ""), path).not.toMatch(/[A-Za-z]{2}/);
    expect(shown, path).not.toMatch(/ {2}| [.,]/);
    if (typeof text === "function") {
      const named = values(path).map((value) => (typeof value === "number" ? "⟨이름⟩" : value));
      for (const one of [shown, text(...named)]) expect(one, path).not.toMatch(PARTICLE);
    }
  }
});

test("numbers are written as the language writes them", () => {
  expect([english.percent(0.285), korean.percent(0.285), english.percent(-0.001)]).toEqual(["28%", "28%", "0%"]);
  expect([english.seconds(3.25, 2), korean.seconds(3.25, 2)]).toEqual(["3.25 s", "3.25초"]);
  const unit = new Intl.NumberFormat("ko", { style: "unit", unit: "second", minimumFractionDigits: 1 });
  expect(korean.seconds(1234.5)).toBe(unit.format(1234.5));
  expect(korean.errors.lowRate("가.wav", 4000)).toBe("가.wav: 샘플링 레이트가 4,000Hz입니다.");
  expect(english.errors.tooLong("a.wav", 659.7)).toBe("a.wav is 11 min 0 s long.");
  expect(korean.errors.tooLong("a.wav", 659.7)).toBe("a.wav: 길이가 11분 0초입니다.");
});

test("the page is in the first of the visitor's languages that there is, and in English without one", () => {
  expect(preferred(["", "ko-KR", "en"])).toBe("ko");
  expect(preferred(["", "fr", "KO"])).toBe("ko");
  expect(preferred(["en", "ko-KR"])).toBe("en"); // what was chosen comes first
  expect(preferred(["", "de", "toString"])).toBe("en");
  expect(preferred([])).toBe("en");
});

test("every emotion has a Korean name, and another label keeps its own", async () => {
  await useLanguage("ko");
  expect(facts.ravdess_emotions.map(nameOf)).toEqual(["중립", "평온", "행복", "슬픔", "분노", "두려움", "혐오", "놀람"]);
  expect([nameOf("annoyed"), nameOf("constructor")]).toEqual(["annoyed", "constructor"]);
  await useLanguage("en");
  expect(nameOf("happy")).toBe("happy");
});
