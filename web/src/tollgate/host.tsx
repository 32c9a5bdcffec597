import { type ComponentProps, type ComponentType, createContext, useContext } from "react";

export type LinkProps = ComponentProps<"a"> & { to: string };

/** What the app around us decides. */
export interface Host {
  /** The router's link; without one links load the page anew. */
  Link: ComponentType<LinkProps>;
  /** Whom to write to about a plan that has no price. */
  contactEmail: string | null;
}

const HostContext = createContext<Host>({ Link: PlainLink, contactEmail: null });

export const HostProvider = HostContext;

export function useHost(): Host {
  return useContext(HostContext);
}

/** A link to a path of the app. */
export function Link(props: LinkProps) {
  const { Link } = useHost();
  return <Link {...props} />;
}

export function PlainLink({ to, ...props }: LinkProps) {
  return <a href={to} {...props} />;
}
