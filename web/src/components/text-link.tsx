import { cn } from "../lib/cn.ts";
import { Link, type LinkProps } from "../tollgate/host.tsx";

export function TextLink({ className, ...props }: LinkProps) {
  return (
    <Link
      className={cn(
        "rounded font-medium text-brand-text underline decoration-line-strong underline-offset-4 hover:decoration-current",
        className,
      )}
      {...props}
    />
  );
}
