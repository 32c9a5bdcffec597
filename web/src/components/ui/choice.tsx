import { RadioGroup } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "../../lib/cn.ts";

interface ChoiceProps<T extends string> {
  /** What is chosen, for screen readers. */
  label: string;
  value: T;
  onChange: (value: T) => void;
  options: readonly { value: T; label: ReactNode }[];
  className?: string;
}

/** A switch between a few values: one radio group, arrow keys move. */
export function Choice<T extends string>(
  { label, value, onChange, options, className }: ChoiceProps<T>,
) {
  const choose = (next: string) => {
    const option = options.find((candidate) => candidate.value === next);
    if (option) onChange(option.value);
  };
  return (
    <RadioGroup.Root
      aria-label={label}
      value={value}
      onValueChange={choose}
      orientation="horizontal"
      className={cn("inline-flex rounded-xl border border-line bg-sunken p-1", className)}
    >
      {options.map((option) => (
        <RadioGroup.Item
          key={option.value}
          value={option.value}
          className="flex h-9 items-center gap-2 rounded-lg px-3.5 text-sm font-medium text-muted transition-colors hover:text-ink data-[state=checked]:bg-card data-[state=checked]:text-ink data-[state=checked]:shadow-[0_0_0_1px_var(--line)]"
        >
          {option.label}
        </RadioGroup.Item>
      ))}
    </RadioGroup.Root>
  );
}
