import { ChevronDown } from "lucide-react";
import { type ReactNode, useId } from "react";
import { cn } from "../../lib/cn.ts";

interface SelectProps<T extends string> {
  label: string;
  value: T;
  onChange: (value: T) => void;
  options: readonly { value: T; label: string }[];
  /** The label is for screen readers only: the choice says what it is. */
  hideLabel?: boolean;
  hint?: ReactNode;
  error?: string | null;
  disabled?: boolean;
  className?: string;
}

/** One of several, with the system's own list: it knows every keyboard and every phone. */
export function SelectField<T extends string>(props: SelectProps<T>) {
  const { label, value, onChange, options, hideLabel, hint, error, disabled, className } = props;
  const id = useId();
  const described = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ");
  return (
    <div className={cn("grid grid-cols-[minmax(0,1fr)] gap-1.5", className)}>
      <label htmlFor={id} className={hideLabel ? "sr-only" : "text-sm font-medium"}>{label}</label>
      <div className="relative">
        <select
          id={id}
          value={value}
          disabled={disabled}
          aria-invalid={error ? true : undefined}
          aria-describedby={described || undefined}
          onChange={(event) => {
            const option = options.find((candidate) => candidate.value === event.target.value);
            if (option) onChange(option.value);
          }}
          className="h-11 w-full appearance-none truncate rounded-lg border border-line-strong bg-card pr-9 pl-3 text-base text-ink disabled:opacity-60 aria-invalid:border-stop sm:text-sm"
        >
          {options.map((option) => (
            <option key={option.value} value={option.value}>{option.label}</option>
          ))}
        </select>
        <ChevronDown
          aria-hidden
          className="pointer-events-none absolute top-1/2 right-3 size-4 -translate-y-1/2 text-muted"
        />
      </div>
      {error && <p id={`${id}-error`} className="text-sm text-stop-text">{error}</p>}
      {hint && <p id={`${id}-hint`} className="text-sm text-muted">{hint}</p>}
    </div>
  );
}
