import { expect, test } from "vitest";
import { Take } from "../src/audio/take";
import { facts } from "../src/facts";

const RATE = 1000;

/** A take of a microphone that is open, and the way to send samples to it. */
async function opened(onFull: () => void): Promise<{ take: Take; send: (n: number) => void; times: number[] }> {
  let send: (block: Float32Array) => void = () => undefined;
  const times: number[] = [];
  const take = new Take(
    (_, timeS) => times.push(timeS),
    onFull,
    async (receive) => {
      send = receive;
      return { stream: {} as MediaStream, rate: RATE, stop: async () => undefined };
    },
  );
  await take.opened;
  return { take, send: (n) => send(new Float32Array(n)), times };
}

test("a take ends by itself, once, at the length of the longest recording", async () => {
  let nFull = 0;
  const { take, send, times } = await opened(() => nFull++);
  send(facts.longest_s * RATE - 1);
  expect([take.isFull, nFull]).toEqual([false, 0]);
  for (let i = 0; i < 3; i++) send(2048);
  expect([take.isFull, nFull]).toEqual([true, 1]);
  expect(times).toEqual([facts.longest_s - 1 / RATE, facts.longest_s]);
});

test("nothing is recorded after a stop", async () => {
  const { take, send, times } = await opened(() => expect.unreachable());
  send(500);
  await take.stop();
  send(facts.longest_s * RATE);
  expect(times).toEqual([0.5]);
  expect(take.isFull).toBe(false);
});
