/**
 * What the pages remember between a POST and the GET after it, in this process only: messages and typed input for
 * POST/redirect/GET, and which forms were already handled. Losing it (a restart) costs a message, never a payment.
 */

interface Entry<T> {
  value: T;
  until: number;
}

/** A small map whose entries die of age, or of number, oldest first. */
export class ShortMemory<T> {
  #entries = new Map<string, Entry<T>>();
  constructor(private readonly lifetimeMs = 15 * 60_000, private readonly most = 500) {}

  put(key: string, value: T): void {
    const now = Date.now();
    for (const [old, entry] of this.#entries) {
      if (entry.until > now && this.#entries.size < this.most) break;
      this.#entries.delete(old);
    }
    this.#entries.set(key, { value, until: now + this.lifetimeMs });
  }

  get(key: string): T | null {
    const entry = this.#entries.get(key);
    return entry && entry.until > Date.now() ? entry.value : null;
  }
}

/** One thing that is wrong; `field` is the name of the input at fault, null when it is the whole form. */
export interface Problem {
  field: string | null;
  message: string;
}

/** What the next page says: good news, or problems together with the input as it was typed. */
export interface Flash {
  notice?: string;
  problems?: Problem[];
  values?: Record<string, string>;
}

export class Flashes {
  #memory = new ShortMemory<{ path: string; flash: Flash }>();

  /** Stores `flash` for the page `path` and gives that page's address. Bound to the path, so it cannot show elsewhere. */
  leave(path: string, flash: Flash): string {
    const token = crypto.randomUUID();
    this.#memory.put(token, { path, flash });
    return `${path}${path.includes("?") ? "&" : "?"}note=${token}`;
  }

  read(pathname: string, token: string | undefined): Flash {
    const found = token === undefined ? null : this.#memory.get(token);
    return found && found.path.split("?")[0] === pathname ? found.flash : {};
  }
}

/**
 * The same form sent twice (double click, reload of a POST) is handled once, and both answers lead to the same place.
 * A form is the same when its token *and* every field are: going back and typing another card is a new attempt.
 */
export class Once {
  #done = new ShortMemory<string>();

  run(path: string, form: URLSearchParams, act: () => string): string {
    if (!form.get("form_token")) return act();
    const key = `${path}\n${form}`;
    const before = this.#done.get(key);
    if (before !== null) return before;
    const location = act();
    this.#done.put(key, location);
    return location;
  }
}
