import { DropdownMenu } from "radix-ui";
import type { ComponentProps, ReactNode } from "react";
import { cn } from "../../lib/cn.ts";

interface MenuProps {
  trigger: ReactNode;
  children: ReactNode;
  align?: "start" | "end";
}

export function Menu({ trigger, children, align = "end" }: MenuProps) {
  return (
    <DropdownMenu.Root>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align={align}
          sideOffset={6}
          collisionPadding={8}
          className="z-50 min-w-44 rounded-xl border border-line bg-card p-1 shadow-lift data-[state=open]:animate-fade"
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

const item =
  "flex min-h-10 cursor-pointer items-center gap-2.5 rounded-lg px-3 text-sm outline-none select-none " +
  "data-highlighted:bg-sunken [&_svg]:size-4 [&_svg]:text-muted";

export function MenuItem(
  { danger, className, ...props }: ComponentProps<typeof DropdownMenu.Item> & { danger?: boolean },
) {
  return (
    <DropdownMenu.Item
      className={cn(item, danger && "text-stop-text [&_svg]:text-stop-text", className)}
      {...props}
    />
  );
}
