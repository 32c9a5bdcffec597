import type { ComponentProps } from "react";
import { Link } from "react-router";
import { cn } from "../lib/cn.ts";

export function TextLink({ className, ...props }: ComponentProps<typeof Link>) {
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
