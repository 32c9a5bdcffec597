import { type ComponentProps, type ReactNode, useId } from "react";
import { cn } from "../../lib/cn.ts";

const control =
  "w-full rounded-lg border border-line-strong bg-card px-3 text-base text-ink placeholder:text-muted " +
  "aria-invalid:border-stop disabled:opacity-60 sm:text-sm";

interface Labelled {
  label: string;
  hint?: ReactNode;
  error?: string | null;
}

/** The ids that tie a control to its hint and its error for a screen reader. */
function useDescribed({ hint, error }: Omit<Labelled, "label">) {
  const id = useId();
  const hintId = hint ? `${id}-hint` : "";
  const errorId = error ? `${id}-error` : "";
  const describedBy = [errorId, hintId].filter(Boolean).join(" ") || undefined;
  return { id, hintId, errorId, describedBy };
}

export function TextField(
  { label, hint, error, className, ...props }: Labelled & ComponentProps<"input">,
) {
  const { id, hintId, errorId, describedBy } = useDescribed({ hint, error });
  return (
    <div className="grid gap-1.5">
      <label htmlFor={id} className="text-sm font-medium">{label}</label>
      <input
        {...props}
        id={id}
        className={cn(control, "h-11", className)}
        aria-invalid={error ? true : undefined}
        aria-describedby={describedBy}
      />
      {error && <p id={errorId} className="text-sm text-stop-text">{error}</p>}
      {hint && <p id={hintId} className="text-sm text-muted">{hint}</p>}
    </div>
  );
}

/** An amount of money, in the currency's main unit. */
export function MoneyField(
  { label, hint, error, symbol, ...props }: Labelled & ComponentProps<"input"> & { symbol: string },
) {
  const { id, hintId, errorId, describedBy } = useDescribed({ hint, error });
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-1.5">
      <label htmlFor={id} className="text-sm font-medium">{label}</label>
      <div
        className={cn(
          "flex h-12 items-center rounded-lg border border-line-strong bg-card focus-within:border-focus focus-within:ring-1 focus-within:ring-focus",
          error && "border-stop",
        )}
      >
        <span aria-hidden className="pl-3.5 text-lg text-muted">{symbol}</span>
        <input
          {...props}
          id={id}
          inputMode="decimal"
          autoComplete="off"
          className="h-full min-w-0 flex-1 bg-transparent px-2 text-lg font-semibold text-ink tabular-nums outline-none"
          aria-invalid={error ? true : undefined}
          aria-describedby={describedBy}
        />
      </div>
      {error && <p id={errorId} role="alert" className="text-sm text-stop-text">{error}</p>}
      {hint && <p id={hintId} className="text-sm text-muted">{hint}</p>}
    </div>
  );
}

export function TextAreaField(
  { label, hint, error, className, ...props }: Labelled & ComponentProps<"textarea">,
) {
  const { id, hintId, errorId, describedBy } = useDescribed({ hint, error });
  return (
    <div className="grid gap-1.5">
      <label htmlFor={id} className="text-sm font-medium">{label}</label>
      <textarea
        {...props}
        id={id}
        className={cn(control, "min-h-32 resize-y py-2.5 leading-relaxed", className)}
        aria-invalid={error ? true : undefined}
        aria-describedby={describedBy}
      />
      {error && <p id={errorId} className="text-sm text-stop-text">{error}</p>}
      {hint && <p id={hintId} className="text-sm text-muted">{hint}</p>}
    </div>
  );
}
