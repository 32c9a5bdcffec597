import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { shortHash } from "../domain/hash.ts";
import { returnUrls } from "../domain/redirect.ts";
import { toSellerSnapshot } from "../domain/seller.ts";
import { env } from "../env.ts";
import { callingStripe, stripe } from "../stripe.ts";

const MAX_PAYOUTS = 2_000;

/** What a creator tells us; Stripe asks them for everything else on its own pages. */
export interface SellerWish {
  display_name: string;
  /** ISO 3166, upper case. */
  country: string;
}

/**
 * Makes the caller a seller with a connected account and answers the address of Stripe's onboarding. Asked again it goes on
 * with the same account, under the name that is given now.
 *
 * Errors: `seller_closed`, `billing_unavailable`.
 */
export async function onboard(wish: SellerWish, call: db.UserCall): Promise<{ url: string }> {
  const { seller_id, stripe_account_id } = await db.beginSeller(
    call.supabaseAdmin,
    call.user.id,
    wish,
  );
  if (stripe_account_id !== null) {
    await renameAccount(stripe_account_id, wish.display_name, call.supabaseAdmin);
    return await openOnboarding(stripe_account_id);
  }
  const created = await createAccount(seller_id, wish, call.user);
  return await openOnboarding(await db.linkSellerAccount(call.supabaseAdmin, seller_id, created));
}

/**
 * The address of Stripe's page where a creator gives what Stripe still wants, or changes what it has. It is the onboarding
 * again: Stripe's own form for updates is only for platforms that collect the requirements themselves.
 *
 * Errors: `seller_required`, `seller_closed`, `billing_unavailable`.
 */
export async function updateSeller(call: db.UserCall): Promise<{ url: string }> {
  return await openOnboarding(await accountOf(call));
}

/** Fetches the caller's connected account, for the way back from Stripe's pages. */
export async function refreshSeller(call: db.UserCall): Promise<{ seller: Json }> {
  const seller = await db.findSeller(call.supabaseAdmin, call.user.id);
  if (seller?.stripe_account_id) await syncSeller(call.supabaseAdmin, seller.stripe_account_id);
  return { seller: await db.mySeller(call.supabase) };
}

/**
 * Makes our rows say what Stripe says of one connected account and of its payouts, under a token taken before the fetch.
 * Applying it also says whether the creator's listings may be bought.
 */
export async function syncSeller(admin: db.Client, account: string): Promise<void> {
  const token = await db.nextSyncToken(admin);
  const [present, payouts] = await Promise.all([
    callingStripe(() =>
      stripe().v2.core.accounts.retrieve(account, {
        include: ["configuration.recipient", "requirements"],
      })
    ),
    callingStripe(() =>
      stripe().payouts.list({ limit: 100 }, { stripeAccount: account })
        .autoPagingToArray({ limit: MAX_PAYOUTS })
    ),
  ]);
  await db.applySellerSnapshot(admin, account, token, toSellerSnapshot(present, payouts));
}

async function accountOf({ supabaseAdmin, user }: db.UserCall): Promise<string> {
  const seller = await db.findSeller(supabaseAdmin, user.id);
  if (seller?.stripe_account_id == null) {
    throw new AppError("seller_required", "You do not sell anything yet.");
  }
  if (seller.status === "closed") {
    throw new AppError("seller_closed", "Your account for selling was closed.");
  }
  return seller.stripe_account_id;
}

/** Two tabs that race send the same key; if they say different things, the row keeps the first account and none is paid twice. */
async function createAccount(
  sellerId: string,
  wish: SellerWish,
  user: db.User,
): Promise<string> {
  const said = await shortHash(JSON.stringify([wish.display_name, wish.country, user.email]));
  const account = await callingStripe(() =>
    stripe().v2.core.accounts.create({
      display_name: wish.display_name,
      dashboard: "express",
      identity: { country: wish.country.toLowerCase() },
      defaults: {
        // The platform pays Stripe's fees and bears what an account cannot, as destination charges have it.
        responsibilities: { fees_collector: "application", losses_collector: "application" },
      },
      configuration: {
        recipient: { capabilities: { stripe_balance: { stripe_transfers: { requested: true } } } },
      },
      metadata: { seller_id: sellerId },
      include: ["configuration.recipient", "requirements"],
      ...(user.email !== null && { contact_email: user.email }),
    }, { idempotencyKey: `seller:${sellerId}:${said}` })
  );
  return account.id;
}

/** The name is Stripe's too: a snapshot would bring the old one back. */
async function renameAccount(account: string, display_name: string, admin: db.Client) {
  const attempt = await db.nextSyncToken(admin);
  await callingStripe(() =>
    stripe().v2.core.accounts.update(account, { display_name }, {
      idempotencyKey: `account:${account}:name:${attempt}`,
    })
  );
}

async function openOnboarding(account: string): Promise<{ url: string }> {
  const urls = returnUrls(env().SITE_URL);
  const link = await callingStripe(() =>
    stripe().v2.core.accountLinks.create({
      account,
      use_case: {
        type: "account_onboarding",
        account_onboarding: {
          refresh_url: urls.onboardingRefresh,
          return_url: urls.onboardingReturn,
        },
      },
    })
  );
  return { url: link.url };
}
