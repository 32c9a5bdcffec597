/** The rows that pages show, in the client's own shapes. */

/** Who answers in a conversation: a bought agent by its listing, or one of one's own. */
export interface AgentRef {
  kind: "listing" | "agent";
  id: string;
}

export interface Conversation {
  id: string;
  title: string;
  updatedAt: number;
  /** null: the assistant itself. */
  agent: AgentRef | null;
}

export interface Message {
  id: string;
  conversationId: string;
  role: "user" | "assistant";
  content: string;
  replyTo: string | null;
  /** As the server wrote it: it is the cursor for older pages and must keep its microseconds. */
  createdAt: string;
}

export interface Agent {
  id: string;
  name: string;
  instructions: string;
  updatedAt: number;
  /** The listing it was cloned from; null for one's own. */
  sourceListingId: string | null;
}

export interface Invoice {
  id: string;
  /** null while it is a draft. */
  number: string | null;
  status: string;
  currency: string;
  totalMinor: number;
  dueMinor: number;
  paidMinor: number;
  /** Stripe's page of it, where an open one can be paid. */
  hostedUrl: string | null;
  pdfUrl: string | null;
  /** As the server wrote it: it is the cursor for older pages. */
  createdAt: string;
}

/** What somebody should be told about their allowance or their spending. */
export interface Notification {
  id: number;
  kind: string;
  title: string;
  body: string;
  createdAt: number;
  isRead: boolean;
}

/** Whether notices are sent by e-mail here at all, and whether this person wants them. */
export interface NotificationEmails {
  isAvailable: boolean;
  isEnabled: boolean;
}

export interface CreditGrant {
  id: string;
  name: string | null;
  amountMinor: number;
  currency: string;
  createdAt: number;
  effectiveAt: number | null;
  expiresAt: number | null;
  voidedAt: number | null;
}

/** Prepaid credit that can be bought. */
export interface CreditPack {
  lookupKey: string;
  name: string;
  currency: string;
  priceMinor: number;
  creditMinor: number;
  /** Days after the purchase; null: never. */
  expiresDays: number | null;
}
