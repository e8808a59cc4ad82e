/** The microphone: permission, level, time, and a WAV file at the end. */

import { Failure } from './api.js';
import { announce, byId, clock, duration } from './dom.js';
import { HEADER_BYTES, wavFile } from './wav.js';

const LONGEST_SECONDS = 600;
const QUIET_DB = -60;
// What a voice is told by must reach the server as it was spoken.
const AS_SPOKEN = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const REFUSALS = {
  NotAllowedError: ['The microphone is not allowed', 'Allow it for this page in the browser, or choose a file.'],
  NotFoundError: ['No microphone found', 'Connect one and try again, or choose a file.'],
  NotReadableError: ['The microphone is in use', 'Another program holds it. Close that one and try again.'],
};
let number = 0;

/** Record until Stop, Cancel or the limit: a File, or null where cancelled. Throws Failure without a microphone. */
export async function record(limits) {
  const stream = await microphone();
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule('static/recorder-worklet.js');
    await context.resume();
    const chunks = await chunksOf(context, stream, limits);
    if (!chunks) return null;
    number += 1;
    const file = wavFile(chunks, context.sampleRate, `recording-${number}.wav`);
    if (file.size === HEADER_BYTES) throw new Failure('Nothing was recorded', 'No sound came. Try again.');
    return file;
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    byId('recorder').hidden = true;
    // They would keep all samples until the next recording.
    byId('recorder-stop').onclick = byId('recorder-cancel').onclick = null;
  }
}

async function microphone() {
  if (!navigator.mediaDevices?.getUserMedia || typeof AudioWorkletNode === 'undefined') {
    throw new Failure('Recording is not possible here', 'Browsers give pages the microphone over HTTPS or on this '
      + 'machine\'s own address (localhost) alone. Record with another program and choose the file.');
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: AS_SPOKEN });
  } catch (error) {
    const words = REFUSALS[error.name] ?? ['The microphone cannot be used', 'Choose a file instead.'];
    throw new Failure(...words);
  }
}

/** Chunks of int16 samples, or null where cancelled. */
function chunksOf(context, stream, limits) {
  const node = new AudioWorkletNode(context, 'recorder', { numberOfOutputs: 0 });
  const longest = longestSeconds(context.sampleRate, limits);
  const most = Math.floor(longest * context.sampleRate);
  const chunks = [];
  let taken = 0;
  show(longest);
  return new Promise((resolve) => {
    const finish = () => node.port.postMessage('stop');
    node.port.onmessage = ({ data }) => {
      if (data.done) {
        resolve(chunks);
      } else if (taken < most) {
        const samples = data.samples.subarray(0, most - taken);
        chunks.push(samples);
        taken += samples.length;
        showLevel(data.peak, taken / context.sampleRate);
        if (taken >= most) finish();
      }
    };
    byId('recorder-stop').onclick = finish;
    byId('recorder-cancel').onclick = () => resolve(null);
    // A microphone that is unplugged ends the recording; what came is kept.
    stream.getTracks().forEach((track) => track.addEventListener('ended', finish));
    context.createMediaStreamSource(stream).connect(node);
  });
}

function longestSeconds(sampleRate, limits) {
  if (!limits) return LONGEST_SECONDS;
  return Math.min(LONGEST_SECONDS, limits.max_seconds, (limits.max_bytes - HEADER_BYTES) / (2 * sampleRate));
}

function show(longest) {
  byId('recorder').hidden = false;
  byId('recorder-hint').textContent = `Stops by itself after ${duration(longest)}.`;
  showLevel(0, 0);
  byId('recorder-stop').focus();
  announce('Recording');
}

function showLevel(peak, seconds) {
  const level = Math.max(QUIET_DB, 20 * Math.log10(peak || 1e-6));
  byId('recorder-time').textContent = clock(Math.floor(seconds));
  byId('recorder-bar').style.transform = `scaleX(${1 - level / QUIET_DB})`;
  byId('recorder-bar').classList.toggle('clipping', peak > 0.99);
  const meter = byId('recorder-level');
  meter.setAttribute('aria-valuenow', level.toFixed(0));
  meter.setAttribute('aria-valuetext', peak > 0.99 ? 'too loud' : `${level.toFixed(0)} dB`);
}
