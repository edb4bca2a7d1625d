/** Clips whose emotion is known: of the server's folder, or the visitor's own files with RAVDESS's names. */
import { decode } from "../audio/decode";
import type { Engine } from "../engine/engine";
import type { ServerEngine } from "../engine/server";
import { emotionOf } from "../ravdess";
import type { Prediction } from "../types";

export interface Truth {
  emotion: string;
  prediction: Prediction;
}

export interface Clip {
  name: string;
  audio(): Promise<Blob>;
  /** What was acted, and what the model says; only asked for once a guess was made. */
  guess(emotion: string): Promise<Truth>;
}

export async function serverClips(server: ServerEngine): Promise<Clip[]> {
  const { clips } = await server.listenClips();
  return clips.map(({ id }) => ({
    name: id,
    audio: () => server.listenAudio(id),
    guess: (emotion) => server.guess(id, emotion),
  }));
}

/** The files among these that are named as RAVDESS names its speech. */
export function fileClips(files: File[], engine: Engine): Clip[] {
  return files.flatMap((file) => {
    const emotion = emotionOf(file.name);
    if (emotion === null) return [];
    return [
      {
        name: file.name,
        audio: async () => file,
        guess: async () => ({ emotion, prediction: await predict(file, engine) }),
      },
    ];
  });
}

async function predict(file: File, engine: Engine): Promise<Prediction> {
  const recording = await decode(file, file.name);
  const job = new AbortController();
  return new Promise((resolve, reject) => {
    engine
      .hear(
        recording,
        {
          onPrediction: (prediction) => {
            resolve(prediction);
            job.abort(); // the windows are not needed here
          },
          onWindows: () => undefined,
        },
        job.signal,
      )
      .catch(reject);
  });
}
