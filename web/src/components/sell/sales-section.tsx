import { Download } from "lucide-react";
import type { useRange } from "../../hooks/use-range.ts";
import { useSales } from "../../hooks/use-seller.ts";
import { formatExact } from "../../lib/money.ts";
import { saveFile } from "../../lib/save-file.ts";
import { type Sale, salesCsv, salesFileName, saleState } from "../../lib/seller.ts";
import { longDay, shortDay } from "../../lib/usage-history.ts";
import { ErrorNotice } from "../notice.tsx";
import { Section } from "../page.tsx";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/skeleton.tsx";

/** Each payment of the chosen days, without the buyer: that is nobody's business but theirs. */
export function SalesSection({ choice }: { choice: ReturnType<typeof useRange> }) {
  const range = choice.problem === null ? choice.range : null;
  const { data, error, isFetching, refetch } = useSales(range);
  const save = (sales: Sale[]) =>
    saveFile(salesFileName(choice.range), "text/csv", salesCsv(sales));
  return (
    <Section
      title="Sales"
      actions={
        <Button
          size="sm"
          variant="outline"
          disabled={!data?.length}
          onClick={() => data && save(data)}
        >
          <Download aria-hidden />
          Export CSV
        </Button>
      }
    >
      {data
        ? data.length === 0
          ? <p className="text-sm text-muted">Nothing was sold in these days.</p>
          : <SalesTable sales={data} />
        : error
        ? <ErrorNotice error={error} onRetry={() => refetch()} pending={isFetching} />
        : range && <Skeleton className="h-24 w-full" />}
    </Section>
  );
}

const head = "sticky top-0 bg-card px-2 py-2.5 font-medium sm:px-3";
const cell = "px-2 py-2.5 sm:px-3";

function SalesTable({ sales }: { sales: Sale[] }) {
  return (
    <div
      role="region"
      aria-label="Payments"
      tabIndex={0}
      className="max-h-112 overflow-auto rounded-xl border border-line bg-card"
    >
      <table className="w-full text-sm tabular-nums max-sm:text-xs">
        <caption className="sr-only">Sales, newest first</caption>
        <thead>
          <tr className="text-left text-muted">
            <th scope="col" className={head}>Day</th>
            <th scope="col" className={head}>Listing</th>
            <th scope="col" className={`${head} max-sm:hidden`}>State</th>
            <th scope="col" className={`${head} text-right max-sm:hidden`}>Price</th>
            <th scope="col" className={`${head} text-right max-sm:hidden`}>Fee</th>
            <th scope="col" className={`${head} text-right`}>Earned</th>
          </tr>
        </thead>
        <tbody>
          {sales.map((sale, index) => <SaleRow key={index} sale={sale} />)}
        </tbody>
      </table>
    </div>
  );
}

/** On a phone the state stands below the title, and the price below what was earned of it. */
function SaleRow({ sale }: { sale: Sale }) {
  const { label, tone } = saleState(sale.status);
  const money = (minor: number) => formatExact(minor, sale.currency);
  return (
    <tr className="border-t border-line align-top">
      <td className={`${cell} whitespace-nowrap text-muted`}>
        <span className="max-sm:sr-only">{longDay(sale.day)}</span>
        <span aria-hidden className="sm:hidden">{shortDay(sale.day)}</span>
      </td>
      <th scope="row" className={`${cell} text-left font-medium`}>
        <span className="block wrap-anywhere">{sale.title}</span>
        <span className="block text-xs font-normal text-muted">{sale.reference}</span>
        <span className="mt-1 block sm:hidden">
          <Badge tone={tone}>{label}</Badge>
        </span>
      </th>
      <td className={`${cell} max-sm:hidden`}>
        <Badge tone={tone}>{label}</Badge>
      </td>
      <td className={`${cell} text-right max-sm:hidden`}>{money(sale.amountMinor)}</td>
      <td className={`${cell} text-right text-muted max-sm:hidden`}>{money(sale.feeMinor)}</td>
      <td className={`${cell} text-right font-medium`}>
        {money(sale.earnedMinor)}
        <span className="block font-normal text-muted sm:hidden">of {money(sale.amountMinor)}</span>
      </td>
    </tr>
  );
}
