/** `/v2/core/account_links`: the single-use address of the hosted form. */
import { obj, required, str, url, type Values } from "../engine/params.ts";
import { type Route, route } from "../engine/route.ts";
import { newId } from "../engine/types.ts";
import { invalidField, iso, word } from "../engine/v2.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { drop, noAccount, own } from "./accounts_v2.ts";

const link = obj({
  collection_options: obj({
    fields: word("currently_due", "eventually_due"),
    future_requirements: word("include", "omit"),
  }),
  refresh_url: required(url()),
  return_url: url(),
});
const linkShape = {
  account: required(str()),
  use_case: required(obj({
    account_onboarding: link,
    account_update: link,
    type: required(word("account_onboarding", "account_update")),
  })),
};
/** As that of `/v1`: five minutes. */
const LINK_LIFETIME = 300;

function createLink(work: Work, p: Values<typeof linkShape>) {
  const account = own(work, p.account);
  if (account.closed) throw noAccount(p.account);
  const { type } = p.use_case;
  const chosen = p.use_case[type];
  const other = type === "account_onboarding" ? "account_update" : "account_onboarding";
  if (!chosen) throw invalidField(`use_case[${type}]`, "Field is required.");
  if (p.use_case[other]) throw invalidField(`use_case[${other}]`, `Must not be set for ${type}.`);
  if (type === "account_update" && account.dashboard !== "none") {
    throw invalidField(
      "use_case[type]",
      "account_update is only for accounts without a dashboard.",
    );
  }
  const now = worldNow(work.store);
  const token = newId("", 32);
  const id = newId("alink_");
  const { id: _, ...made } = work.create("v2.core.account_link", {
    id,
    object: "v2.core.account_link",
    account: account.id,
    created: iso(now * 1000),
    expires_at: iso((now + LINK_LIFETIME) * 1000),
    livemode: false,
    url: `${work.settings.publicUrl}/setup/s/${account.id}/${token}`,
    use_case: { type, [type]: drop(chosen) },
  }, { token, visit: null, done: false });
  return made;
}

export const accountLinkRoutes: Route[] = [
  route("POST", "/v2/core/account_links", linkShape, createLink),
];
