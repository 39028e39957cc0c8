// The stream of ticks: opened while somebody looks, opened again when it breaks.

const silence = 4000; // milliseconds without a tick, after which what is shown is old
const longest = 15000; // between two attempts

// Live calls on.tick for each tick, and on.stale with since when there was none,
// or null when there is one again.
export class Live {
  constructor(on) {
    this.on = on;
    this.source = null;
    this.wait = 1000;
    this.last = 0;
    document.addEventListener("visibilitychange", () => this.visible());
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", () => this.visible());
  }

  // visible follows the tab: a hidden one has no connection and no timer.
  visible() {
    if (document.hidden) this.close();
    else if (!this.source) this.open();
  }

  open() {
    this.close();
    this.on.open();
    const source = new EventSource("events");
    this.source = source;
    source.addEventListener("tick", (e) => this.tick(e));
    source.onerror = () => {
      this.on.stale(this.last);
      if (source.readyState === EventSource.CLOSED) this.again();
    };
    this.watch();
  }

  tick(e) {
    let tick;
    try {
      tick = JSON.parse(e.data);
    } catch {
      return;
    }
    this.last = Date.now() / 1000;
    this.wait = 1000;
    this.watch();
    this.on.stale(null);
    this.on.tick(tick, this.last);
  }

  // watch notices a stream that is open and says nothing.
  watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.on.stale(this.last);
      this.again();
    }, silence);
  }

  // again opens the stream anew after a while, later each time.
  again() {
    this.source?.close();
    clearTimeout(this.timer);
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(this.wait * 2, longest);
  }

  close() {
    this.source?.close();
    this.source = null;
    clearTimeout(this.timer);
    clearTimeout(this.retry);
  }
}
