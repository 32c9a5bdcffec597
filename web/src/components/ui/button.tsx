import { cva, type VariantProps } from "class-variance-authority";
import { LoaderCircle } from "lucide-react";
import { Slot } from "radix-ui";
import type { ComponentProps, MouseEvent } from "react";
import { cn } from "../../lib/cn.ts";

const styles = cva(
  "relative inline-flex shrink-0 items-center justify-center gap-2 rounded-lg font-medium whitespace-nowrap " +
    "transition-colors select-none disabled:opacity-55 aria-disabled:cursor-default [&_svg]:shrink-0",
  {
    variants: {
      variant: {
        primary: "bg-brand text-on-brand hover:bg-brand-hover",
        toll: "bg-toll text-on-toll hover:bg-toll-hover",
        outline: "border border-line bg-card text-ink hover:border-line-strong hover:bg-sunken",
        ghost: "text-ink hover:bg-ink/6",
        danger: "bg-stop text-on-stop hover:bg-stop-hover",
      },
      size: {
        sm: "h-9 px-3 text-sm [&_svg]:size-4",
        md: "h-10 px-4 text-sm [&_svg]:size-4",
        lg: "h-12 px-6 text-base [&_svg]:size-5",
        icon: "size-10 [&_svg]:size-5",
        "icon-sm": "size-8 [&_svg]:size-4",
      },
      /** The label has a name in it, which may be long. */
      wraps: { true: "max-w-full whitespace-normal wrap-anywhere" },
    },
    compoundVariants: [{ wraps: true, className: "h-auto min-h-10 shrink self-start py-2" }],
    defaultVariants: { variant: "primary", size: "md" },
  },
);

interface ButtonProps extends ComponentProps<"button">, VariantProps<typeof styles> {
  /** Styles the only child (a link) instead of making a button. */
  asChild?: boolean;
  /** Working: keeps its label and focus, and cannot be pressed again. */
  pending?: boolean;
}

export function Button(
  { asChild, pending, variant, size, wraps, className, ...props }: ButtonProps,
) {
  const classes = cn(styles({ variant, size, wraps }), className);
  if (asChild) return <Slot.Root className={classes} {...props} />;
  const { children, onClick, ...rest } = props;
  const press = (event: MouseEvent<HTMLButtonElement>) => {
    // Not `disabled`: that would drop the keyboard focus to the start of the page.
    if (pending) event.preventDefault();
    else onClick?.(event);
  };
  return (
    <button
      type="button"
      {...rest}
      className={classes}
      onClick={press}
      aria-disabled={pending || undefined}
      aria-busy={pending || undefined}
    >
      {pending && <LoaderCircle aria-hidden className="absolute animate-spin" />}
      <span className={cn("inline-flex items-center gap-2", pending && "opacity-30")}>
        {children}
      </span>
    </button>
  );
}
