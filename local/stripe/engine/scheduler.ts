/**
 * Lets time act. Two kinds of time: each test clock, which moves only when advanced, and the sandbox's own, which is
 * real time plus an offset that `POST /_sandbox/clock` moves forward. Each due step is one transaction; between steps
 * the clock stands exactly at the step's due time, so a renewal three months ahead sees the dates Stripe would show.
 */
import { release } from "../billing/balance.ts";
import { settleDebit } from "../billing/bank_debits.ts";
import { expireCheckout } from "../billing/checkout.ts";
import { endGrant } from "../billing/credits.ts";
import { report } from "../billing/meter_reports.ts";
import { settlePayout } from "../billing/payouts.ts";
import { settleRefund } from "../billing/refunds.ts";
import { stepSchedule } from "../billing/schedules.ts";
import { stepInvoice, stepSubscription } from "../billing/lifecycle.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import { Work, worldNow } from "./work.ts";

const NOBODY = { id: null, idempotency_key: null };
const IDLE_MS = 1000;

export class Scheduler {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(readonly store: Store, readonly settings: Settings, readonly onCommit: () => void) {}

  /** Looks for due work soon; harmless when there is none. One look at a time: two would race for a clock. */
  wake(delay = 10): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#running = this.#running.then(() => this.#tick());
    }, delay);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** Moves the sandbox's own time forward, step by step; resolves when everything due has happened. */
  async advanceWorld(to: number): Promise<number> {
    while (!this.#stopped && this.#step("", to)) await breathe();
    this.#setWorld(to);
    this.#report(true);
    this.onCommit();
    return worldNow(this.store);
  }

  async #tick(): Promise<void> {
    if (this.#stopped) return;
    this.#timer = undefined;
    for (const clock of this.store.all("test_helpers.test_clock", { status: "advancing" })) {
      const { target } = this.store.hidden("test_helpers.test_clock", clock.id);
      if (target !== null) await this.#advance(clock.id, target);
    }
    while (!this.#stopped && this.#step("", worldNow(this.store))) await breathe();
    if (!this.#stopped && this.#report(false)) this.onCommit();
    // Somebody may have asked for the next look meanwhile; else real time is looked at again in a second.
    if (this.#timer === undefined) this.wake(IDLE_MS);
  }

  #report(isAll: boolean): boolean {
    return this.store.transaction(() => report(new Work(this.store, this.settings, NOBODY), isAll));
  }

  async #advance(clock: string, target: number): Promise<void> {
    while (!this.#stopped && this.#step(clock, target)) await breathe();
    if (this.#stopped) return;
    this.store.transaction(() => {
      const work = new Work(this.store, this.settings, NOBODY);
      if (work.find("test_helpers.test_clock", clock)?.status !== "advancing") return;
      work.changeHidden("test_helpers.test_clock", clock, { target: null });
      work.change("test_helpers.test_clock", clock, {
        frozen_time: target,
        status: "ready",
        status_details: {},
      }, "test_helpers.test_clock.ready");
    });
    this.onCommit();
  }

  /** One due object of this clock, if there is one at or before `until`. */
  #step(clock: string, until: number): boolean {
    const row = this.store.sql(
      "select id, kind, due_at from objects where clock = ? and due_at is not null and due_at <= ? " +
        // A phase that begins with a period comes before the renewal that bills it.
        "order by due_at, kind <> 'subscription_schedule', seq limit 1",
    ).get(clock, until);
    if (!row) return false;
    const [id, kind, due] = [String(row.id), String(row.kind), Number(row.due_at)];
    try {
      this.store.transaction(() => {
        this.#moveTo(clock, due);
        const work = new Work(this.store, this.settings, NOBODY);
        if (kind === "subscription") stepSubscription(work, id);
        if (kind === "subscription_schedule") stepSchedule(work, id);
        if (kind === "billing.credit_grant") endGrant(work, id);
        if (kind === "coupon") work.change("coupon", id, { valid: false }, "coupon.updated");
        if (kind === "promotion_code") {
          work.change("promotion_code", id, { active: false }, "promotion_code.updated");
        }
        if (kind === "balance_transaction") release(work, id);
        if (kind === "payout") settlePayout(work, id);
        if (kind === "payment_intent") settleDebit(work, id);
        if (kind === "refund") settleRefund(work, id);
        if (kind === "invoice") stepInvoice(work, id);
        if (kind === "checkout.session") expireCheckout(work, id);
        const after = this.store.sql("select due_at from objects where id = ?").get(id);
        if (after?.due_at === row.due_at) throw new Error(`it stays due at ${due}`);
      });
    } catch (error) {
      this.#drop(clock, `${kind} ${id}`, id, error);
    }
    this.onCommit();
    return true;
  }

  /** A step that fails would fail for ever and hold up all behind it: its timer goes, loudly. */
  #drop(clock: string, what: string, id: string, error: unknown): void {
    const why = error instanceof Error ? error.stack : String(error);
    this.settings.log(`stripe: bug in the sandbox: ${what} lost its timer: ${why}`);
    this.store.transaction(() => {
      this.store.sql("update objects set due_at = null where id = ?").run(id);
      if (clock === "") return;
      const work = new Work(this.store, this.settings, NOBODY);
      const status = "internal_failure";
      const event = "test_helpers.test_clock.internal_failure";
      work.change("test_helpers.test_clock", clock, { status, status_details: {} }, event);
    });
  }

  #moveTo(clock: string, time: number): void {
    if (clock === "") return this.#setWorld(time);
    const found = this.store.find("test_helpers.test_clock", clock);
    if (!found || found.frozen_time >= time) return;
    new Work(this.store, this.settings, NOBODY).change("test_helpers.test_clock", clock, {
      frozen_time: time,
    });
  }

  /** Never backwards: a step that was due while the sandbox was off happens now. */
  #setWorld(time: number): void {
    const real = Math.floor(Date.now() / 1000);
    if (time > worldNow(this.store)) this.store.setMeta("clock_offset", String(time - real));
  }
}

const breathe = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
