import { useMemo } from "react";
import { currenciesOf, inCurrency, pickCurrency } from "../lib/currency.ts";
import type { Catalogue } from "../lib/plans.ts";
import { useCatalogue } from "./use-catalogue.ts";
import { useChosenCurrency } from "./use-currency.ts";
import { useSubscription } from "./use-subscription.ts";

export interface Tariff {
  /** With every price in `currency`; null while loading or after a failure. */
  catalogue: Catalogue | null;
  currency: string;
  /** What can be chosen. */
  currencies: string[];
  /** A subscription stays in the currency it began in. */
  isFixed: boolean;
  choose: (currency: string) => void;
  error: Error | null;
  isFetching: boolean;
  refetch: () => void;
}

/** The catalogue in the reader's currency: that of their subscription, their choice or their region's. */
export function useTariff(): Tariff {
  const { data, error, isFetching, refetch } = useCatalogue();
  const { currency: paidIn } = useSubscription();
  const [chosen, choose] = useChosenCurrency();
  const currencies = useMemo(() => data ? currenciesOf(data) : [], [data]);
  const currency = paidIn ?? pickCurrency(currencies, chosen, navigator.languages);
  const catalogue = useMemo(() => data ? inCurrency(data, currency) : null, [data, currency]);
  return {
    catalogue,
    currency,
    currencies,
    isFixed: paidIn !== null,
    choose,
    error: data ? null : error,
    isFetching,
    refetch: () => void refetch(),
  };
}
