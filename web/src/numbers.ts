/** Numbers as a language writes them, and times on a clock, which all write alike. */

export interface Numbers {
  percent(share: number): string;
  /** @param digits after the decimal point; as many as there are, and at most three, unless given */
  number(value: number, digits?: number): string;
  /** With three significant digits. */
  roughly(value: number): string;
}

export function numbers(locale: string): Numbers {
  const made = new Map<number | undefined, Intl.NumberFormat>();
  const format = (digits?: number): Intl.NumberFormat => {
    const found = made.get(digits) ?? new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    made.set(digits, found);
    return found;
  };
  const whole = new Intl.NumberFormat(locale, { style: "percent" });
  const rough = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
  return {
    percent: (share) => whole.format(Math.round(100 * share) / 100 || 0), // never "-0%"
    number: (value, digits) => format(digits).format(value),
    roughly: (value) => rough.format(value),
  };
}

/** "0:03.2" */
export function clock(timeS: number): string {
  const tenths = Math.floor(10 * timeS + 1e-6);
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}
