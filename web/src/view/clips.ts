/** Clips with known emotions: from the server's folder, or the user's own files with RAVDESS names. */
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
  /** The acted emotion and the model's prediction; called only after a guess. */
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

/** The files with names of RAVDESS speech clips of an emotion that the model knows. */
export function fileClips(files: File[], labels: string[], engine: Engine): Clip[] {
  return files.flatMap((file) => {
    const emotion = emotionOf(file.name);
    if (emotion === null || !labels.includes(emotion)) return [];
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
      .recognise(
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
