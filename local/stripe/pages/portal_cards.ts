/** The portal's payment methods: add, make default, remove. */
import { filled, readCard } from "./fields.ts";
import { attempt } from "./kit.ts";
import type { Problem } from "./memory.ts";
import { cardPage } from "./portal_tasks.ts";
import { again, type Answer, notOffered, settle, type Visit } from "./portal_visit.ts";

export function showCard(visit: Visit): Answer {
  const { c, kit, view, paths } = visit;
  if (!view.features.payment_method_update) return notOffered(visit);
  return c.html(cardPage(view, paths, kit.flash(c)));
}

export function saveCard(visit: Visit, form: URLSearchParams): string {
  const { kit, view, paths } = visit;
  const values = filled(form);
  if (values) return kit.flashes.leave(paths.newCard, { values });
  const back = (...problems: Problem[]) => again(visit, paths.newCard, problems, form);
  const card = readCard(form);
  if ("problems" in card) return back(...card.problems);
  const tried = attempt(() => kit.hosted.portalUpdatePaymentMethod(view.id, card.card));
  if ("refused" in tried) return back({ field: null, message: tried.refused.message });
  return settle(visit, tried.value, "Your card was saved and will be used from now on.", back);
}

export function setDefault(visit: Visit): string {
  const { kit, view, c } = visit;
  const id = c.req.param("card") ?? "";
  return cardAction(
    visit,
    () => kit.hosted.portalSetDefaultPaymentMethod(view.id, id),
    "Default card changed.",
  );
}

export function removeCard(visit: Visit): string {
  const { kit, view, c } = visit;
  const id = c.req.param("card") ?? "";
  return cardAction(
    visit,
    () => kit.hosted.portalDetachPaymentMethod(view.id, id),
    "The card was removed.",
  );
}

function cardAction(visit: Visit, run: () => unknown, notice: string): string {
  const tried = attempt(run);
  if ("refused" in tried) {
    return again(visit, visit.paths.overview, [{ field: null, message: tried.refused.message }]);
  }
  return visit.kit.flashes.leave(visit.paths.overview, { notice });
}
