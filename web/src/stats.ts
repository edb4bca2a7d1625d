/** Scores of guesses, with confidence intervals. */

export interface Answer {
  truth: string;
  guess: string;
}

export interface Share {
  n: number;
  right: number;
  share: number;
  low: number; // 95% Wilson interval
  high: number;
}

const Z = 1.959963984540054; // the 97.5% quantile of the normal distribution

/** Wilson 1927, "Probable inference, the law of succession, and statistical inference". */
export function wilson(right: number, n: number): Share {
  if (n === 0) return { n, right, share: NaN, low: 0, high: 1 };
  const share = right / n;
  const scale = 1 + (Z * Z) / n;
  const centre = (share + (Z * Z) / (2 * n)) / scale;
  const reach = (Z / scale) * Math.sqrt((share * (1 - share)) / n + (Z * Z) / (4 * n * n));
  return { n, right, share, low: Math.max(0, centre - reach), high: Math.min(1, centre + reach) };
}

export function accuracy(answers: Answer[]): Share {
  return wilson(answers.filter(({ truth, guess }) => truth === guess).length, answers.length);
}

/** Confusion matrix of counts: one row per true label, one column per guess. */
export function confusion(answers: Answer[], labels: string[]): number[][] {
  const counts = labels.map(() => labels.map(() => 0));
  for (const { truth, guess } of answers) {
    const [row, column] = [labels.indexOf(truth), labels.indexOf(guess)];
    if (row >= 0 && column >= 0) counts[row][column]++;
  }
  return counts;
}

/** A copy in uniformly random order (Fisher–Yates). */
export function shuffled<T>(values: readonly T[], random: () => number = Math.random): T[] {
  const order = [...values];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
