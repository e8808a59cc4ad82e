/** On the audio thread: float blocks of the microphone's first channel become chunks of 16-bit samples and a level. */

const CHUNK = 2048;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.start();
    this.open = true;
    this.port.onmessage = () => {
      this.flush();
      this.open = false;
      this.port.postMessage({ done: true });
    };
  }

  start() {
    this.samples = new Int16Array(CHUNK);
    this.filled = 0;
    this.peak = 0;
  }

  flush() {
    const samples = this.samples.slice(0, this.filled);
    this.port.postMessage({ samples, peak: this.peak }, [samples.buffer]);
    this.start();
  }

  process([input]) {
    for (const value of input[0] ?? []) {
      if (!this.open) break;
      const clipped = Math.max(-1, Math.min(1, value));
      this.peak = Math.max(this.peak, Math.abs(clipped));
      this.samples[this.filled++] = Math.round(clipped * (clipped < 0 ? 32768 : 32767));
      if (this.filled === CHUNK) this.flush();
    }
    return this.open;
  }
}

registerProcessor('recorder', Recorder);
