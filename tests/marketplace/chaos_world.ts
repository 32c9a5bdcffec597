import assert from "node:assert/strict";
import type postgres from "postgres";
import { offerParams } from "../../supabase/functions/_shared/domain/purchase.ts";
import { CARDS, mustLeave, pay } from "../support/hosted.ts";
import { sandbox } from "../support/sandbox.ts";
import { stripe } from "../support/stack.ts";
import type { Turn } from "./chaos_schedule.ts";

/** What can be bought: of a creator with a fee of their own, at one price. */
export interface Offer {
  listing: string;
  seller: string;
  account: string;
}

export interface Sale {
  purchase: string;
  account: string;
  buyer: string;
  charge: string;
}

/** In hundredths of a percent; prices that do not divide well. */
const FEES = [0, 500, 2_000, 3_333];
const PRICES = [2_000, 999, 12_345];

/** Creators past their onboarding, each with the same listings. */
export async function createOffers(db: postgres.Sql): Promise<Offer[]> {
  const offers = await Promise.all(FEES.map(async (bps) => {
    const user = await createUser(db);
    const [{ begun }] = await one<{ begun: { seller_id: string } }>(
      db`select public.begin_seller(${user}, ${`Fee ${bps}`}, 'US') as begun`,
    );
    const seller = begun.seller_id;
    const { id: account } = await stripe().v2.core.accounts.create({
      identity: { country: "us" },
      configuration: {
        recipient: { capabilities: { stripe_balance: { stripe_transfers: { requested: true } } } },
      },
    });
    await sandbox(`/accounts/${account}`, { transfers: "active" });
    await db`select public.link_seller_account(${seller}, ${account})`;
    await db`
      select public.apply_seller_snapshot(
        ${account}, public.next_sync_token(), '{"transfers_status": "active", "closed": false}')`;
    await db`select billing.set_seller_fee(${seller}, ${bps})`;
    return await Promise.all(PRICES.map(async (price) => {
      const [{ id }] = await one<{ id: string }>(db`
        insert into public.listings (
          seller_id, title, description, category, kind, price_minor, currency, status, version, published_at
        ) values (${seller}, 'Tutor', '', 'agent', 'one_time', ${price}, 'usd', 'published', 1, now())
        returning id`);
      return { listing: id, seller, account };
    }));
  }));
  return offers.flat();
}

async function createUser(db: postgres.Sql): Promise<string> {
  const id = crypto.randomUUID();
  await db`insert into auth.users (id, email) values (${id}, ${`${id}@chaos.test`})`;
  return id;
}

async function one<T>(query: PromiseLike<unknown>): Promise<[T]> {
  return await query as [T];
}

/** Somebody buys and pays, as the function `purchase` opens it; nothing of it is heard of yet. */
export async function sell(db: postgres.Sql, offer: Offer): Promise<Sale> {
  const [buyer, { id: customer }] = await Promise.all([
    createUser(db),
    stripe().customers.create({ email: "buyer@chaos.test" }),
  ]);
  await db`select public.link_customer(${buyer}, ${customer})`;
  const [{ order }] = await one<{ order: Record<string, never> }>(
    db`select public.begin_purchase(${buyer}, ${offer.listing}) as order`,
  );
  const session = await stripe().checkout.sessions.create({
    ...offerParams({
      purchaseId: order["purchase_id"] ?? "",
      listingId: offer.listing,
      title: order["title"] ?? "",
      kind: order["kind"] ?? "",
      amountMinor: Number(order["amount_minor"]),
      currency: order["currency"] ?? "",
      feeMinor: Number(order["fee_minor"]),
      feeBps: Number(order["fee_bps"]),
      destination: order["destination"] ?? null,
    }),
    customer,
    success_url: "http://127.0.0.1:3000/library",
  });
  await db`
    select public.note_purchase_session(${order["purchase_id"] ?? ""}, ${
    order["attempt"] ?? 1
  }, ${session.id})`;
  mustLeave(await pay(session.url ?? "", CARDS.success, "Pay"));
  const { data } = await stripe().charges.list({ customer });
  assert.equal(data.length, 1);
  return {
    purchase: order["purchase_id"] ?? "",
    account: offer.account,
    buyer,
    charge: data[0]?.id ?? "",
  };
}

/** Does this, if Stripe and the ledger let it; answers whether it happened. */
export async function turn(
  db: postgres.Sql,
  sale: Sale,
  { turn: what, share }: { turn: Turn; share: number },
): Promise<boolean> {
  try {
    await act(db, sale, what, share);
    return true;
  } catch {
    // Refused: there is nothing left to refund, no dispute to decide, not enough to pay out, or we have not heard of it yet.
    return false;
  }
}

async function act(db: postgres.Sql, sale: Sale, what: Turn, share: number): Promise<void> {
  const { purchase, charge, account } = sale;
  const part = async () =>
    Math.max(1, Math.floor((await stripe().charges.retrieve(charge)).amount * share / 100));
  switch (what) {
    case "refund_part":
      await db`select billing.refund_purchase(${purchase}, ${await part()}, 'chaos')`;
      return;
    case "refund_rest":
      await db`select billing.refund_purchase(${purchase}, null, 'chaos')`;
      return;
    case "refund_part_at_stripe":
      return await refundAtStripe(charge, await part());
    case "refund_rest_at_stripe":
      return await refundAtStripe(charge);
    case "dispute":
      await sandbox(`/charges/${charge}/dispute`, {});
      return;
    case "dispute_part":
      await sandbox(`/charges/${charge}/dispute`, { amount: await part() });
      return;
    case "win":
    case "lose":
      return await decide(charge, what === "win" ? "won" : "lost");
    case "payout":
      return await payOut(account, share);
    case "nothing":
  }
}

async function refundAtStripe(charge: string, amount?: number): Promise<void> {
  const { application_fee } = await stripe().charges.retrieve(charge);
  await stripe().refunds.create({
    charge,
    reverse_transfer: true,
    ...(application_fee !== null && { refund_application_fee: true }),
    ...(amount !== undefined && { amount }),
  });
}

async function decide(charge: string, outcome: "won" | "lost"): Promise<void> {
  const { data } = await stripe().disputes.list({ charge });
  await sandbox(`/disputes/${data[0]?.id}`, { outcome });
}

async function payOut(account: string, share: number): Promise<void> {
  const { available } = await stripe().balance.retrieve({}, { stripeAccount: account });
  const there = available.find(({ currency }) => currency === "usd")?.amount ?? 0;
  const amount = Math.floor(there * share / 100);
  await stripe().payouts.create({ amount, currency: "usd" }, { stripeAccount: account });
}

interface Truth {
  access: boolean;
  /** What the creator has of this sale. */
  share: number;
  /** What they should have, and by how much rounding may move it. */
  expected: number;
  tolerance: number;
}

/** What is true of a sale by the rule, told from Stripe's objects alone. */
export async function truthOf({ charge: id, purchase }: Sale): Promise<Truth> {
  const [charge, refunds, disputes, transfers] = await Promise.all([
    stripe().charges.retrieve(id, { expand: ["application_fee"] }),
    stripe().refunds.list({ charge: id, limit: 100 }),
    stripe().disputes.list({ charge: id }),
    stripe().transfers.list({ transfer_group: purchase, limit: 100 }),
  ]);
  const refunded = refunds.data.filter(({ status }) => status !== "failed" && status !== "canceled")
    .reduce((sum, { amount }) => sum + amount, 0);
  const statuses = disputes.data.map(({ status }) => status);
  const isTaken = statuses.some((status) => status !== "won");
  const fee = typeof charge.application_fee === "object" ? charge.application_fee : null;
  const kept = (fee?.amount ?? 0) - (fee?.amount_refunded ?? 0);
  const sent = transfers.data.reduce((sum, one) => sum + one.amount - one.amount_reversed, 0);
  // What the bank holds, or has kept, is the creator's no more than what was refunded.
  const taken = disputes.data.filter(({ status }) => status !== "won")
    .reduce((sum, { amount }) => sum + amount, 0);
  const left = Math.max(0, charge.amount - refunded - taken);
  const feeBack = Math.round((fee?.amount ?? 0) * (charge.amount - left) / charge.amount);
  const isPartly = disputes.data.some(({ amount }) => amount < charge.amount);
  return {
    access: refunded < charge.amount && !isTaken,
    share: sent - kept,
    expected: left - ((fee?.amount ?? 0) - feeBack),
    tolerance: isPartly || statuses.includes("won") ? refunds.data.length + 1 : 0,
  };
}
