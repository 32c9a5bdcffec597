import { ChartColumn, Download, Table } from "lucide-react";
import { useState } from "react";
import { Link } from "react-router";
import { ErrorNotice } from "../components/notice.tsx";
import { Page } from "../components/page.tsx";
import { Button } from "../components/ui/button.tsx";
import { Choice } from "../components/ui/choice.tsx";
import { Skeleton } from "../components/ui/skeleton.tsx";
import { HistoryTable } from "../components/usage/history-table.tsx";
import { HistoryTotals } from "../components/usage/history-totals.tsx";
import { RangeChoice } from "../components/usage/range-choice.tsx";
import { UsageChart } from "../components/usage/usage-chart.tsx";
import { useHistory } from "../hooks/use-history.ts";
import { useOverage } from "../hooks/use-overage.ts";
import { useRange } from "../hooks/use-range.ts";
import { useTitle } from "../hooks/use-title.ts";
import { useUsage } from "../hooks/use-usage.ts";
import { cn } from "../lib/cn.ts";
import { saveFile } from "../lib/save-file.ts";
import { nounOf, titleOfMetric } from "../lib/plans.ts";
import {
  type DayUsage,
  fillDays,
  historyCsv,
  historyFileName,
  monthSoFar,
  totalsOf,
} from "../lib/usage-history.ts";

type View = "chart" | "table";

export default function UsagePage() {
  useTitle("Usage");
  const choice = useRange();
  const { metric, range, today, problem } = choice;
  const [view, setView] = useState<View>("chart");
  const { metrics } = useUsage();
  const { overage } = useOverage();
  const currency = overage?.currency ?? "usd";
  const asked = problem === null ? range : null;
  const history = useHistory(metric, asked);
  const month = useHistory(metric, monthSoFar(today));
  const daily = metrics?.filter((row) => row.resetsAt !== null) ?? [];
  const present = daily.find((row) => row.metric === metric)?.limit ?? null;
  // Rows that belong to other days or another metric say nothing about these.
  const days = history.rows && asked && !history.isStale
    ? fillDays(history.rows, asked, present)
    : null;
  const sums = month.rows && !month.isStale
    ? fillDays(month.rows, monthSoFar(today), present)
    : null;
  const save = (rows: DayUsage[]) =>
    saveFile(historyFileName(metric, range), "text/csv", historyCsv(rows, metric, currency));

  return (
    <Page
      title="Usage"
      lead="Day by day, in UTC."
      actions={
        <Button variant="outline" disabled={!days} onClick={() => days && save(days)}>
          <Download aria-hidden />
          Export CSV
        </Button>
      }
    >
      <section
        aria-label="Usage by day"
        className="grid grid-cols-[minmax(0,1fr)] gap-5"
      >
        <div className="flex flex-wrap items-start justify-between gap-3">
          {daily.length > 1 && (
            <Choice
              label="What is counted"
              value={metric}
              onChange={choice.setMetric}
              options={daily.map((row) => ({
                value: row.metric,
                label: titleOfMetric(row.metric),
              }))}
            />
          )}
          <Choice<View>
            label="Show as"
            value={view}
            onChange={setView}
            options={[
              { value: "chart", label: <ViewLabel icon={ChartColumn} label="Chart" /> },
              { value: "table", label: <ViewLabel icon={Table} label="Table" /> },
            ]}
          />
          <RangeChoice
            {...choice}
            onPreset={choice.setPreset}
            onRange={choice.setRange}
          />
        </div>
        {asked && <HistoryTotals days={days} month={sums} currency={currency} />}
        {days
          ? totalsOf(days).used === 0
            ? <Nothing metric={metric} />
            : view === "chart"
            ? <UsageChart days={days} metric={metric} currency={currency} today={today} />
            : <HistoryTable days={days} metric={metric} currency={currency} today={today} />
          : history.error && asked
          ? (
            <ErrorNotice
              error={history.error}
              onRetry={history.refetch}
              pending={history.isFetching}
            />
          )
          : asked && <ChartSkeleton />}
      </section>
    </Page>
  );
}

function ViewLabel({ icon: Icon, label }: { icon: typeof Table; label: string }) {
  return (
    <>
      <Icon aria-hidden className="size-4" />
      <span className="max-sm:sr-only">{label}</span>
    </>
  );
}

function Nothing({ metric }: { metric: string }) {
  return (
    <div className="grid justify-items-start gap-3 rounded-2xl border border-dashed border-line-strong p-8">
      <ChartColumn aria-hidden className="size-7 text-muted" />
      <div className="grid gap-1">
        <h2 className="text-lg font-semibold">No {nounOf(metric, 2)} in these days</h2>
        <p className="text-sm text-muted">What you use from now on shows here, day by day.</p>
      </div>
      <Button variant="outline" asChild>
        <Link to="/chat">Write a message</Link>
      </Button>
    </div>
  );
}

function ChartSkeleton() {
  const heights = ["h-1/3", "h-2/3", "h-1/2", "h-5/6", "h-2/5", "h-3/4", "h-1/2", "h-3/5"];
  return (
    <div
      role="status"
      aria-label="Loading usage"
      className="flex h-[18rem] items-end gap-3 border-b border-line pl-11"
    >
      {heights.map((height, index) => (
        <Skeleton key={index} className={cn("flex-1 rounded-b-none", height)} />
      ))}
    </div>
  );
}
