/** Types a text into the guest, at a pace that a PS/2 keyboard queue of 16 bytes takes. */

import { stroke } from './keys.js';

/** Per character. A character is up to 4 key events, 8 bytes on the wire of a PS/2 keyboard. */
export const PACE_MS = 20;

/**
 * @param {{keysym: number, code: string|null}[][]} strokes from keys.typeText
 * @param {(keysym: number, code: string|null, down: boolean) => void} send
 * @param {{signal: AbortSignal, progress: (typed: number) => void, pause?: (ms: number) => Promise<void>}} options
 * @returns {Promise<number>} how many were typed; fewer than given when `signal` was set
 */
export async function typeStrokes(strokes, send, { signal, progress, pause = sleep }) {
  let typed = 0;
  for (const keys of strokes) {
    if (signal.aborted) {
      break;
    }
    for (const { keysym, code, down } of stroke(keys)) {
      send(keysym, code, down);
    }
    typed += 1;
    progress(typed);
    await pause(PACE_MS);
  }
  return typed;
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
