import { formatExact, parseMoney } from "../../lib/money.ts";
import { type Kind, KIND_NAMES, KINDS } from "../../lib/marketplace.ts";
import type { Agent } from "../../lib/records.ts";
import {
  earningOf,
  type FormProblems,
  type ListingForm,
  MAX_DESCRIPTION,
  MAX_TITLE,
  percentText,
} from "../../lib/seller.ts";
import { TextLink } from "../text-link.tsx";
import { Choice } from "../ui/choice.tsx";
import { MoneyField, TextAreaField, TextField } from "../ui/field.tsx";
import { SelectField } from "../ui/select.tsx";

interface ListingFieldsProps {
  form: ListingForm;
  problems: FormProblems;
  /** That may be sold: what was bought may not. */
  agents: Agent[];
  currencies: string[];
  symbol: string;
  feeBps: number;
  /** Then it stays sold the way it was. */
  isPublished: boolean;
  onChange: (change: Partial<ListingForm>) => void;
}

export function ListingFields(props: ListingFieldsProps) {
  const { form, problems, agents, currencies, symbol, feeBps, isPublished, onChange } = props;
  return (
    <>
      <SelectField
        label="Agent"
        value={form.agentId}
        error={problems.agentId}
        onChange={(agentId) => onChange({ agentId })}
        hint={agents.length === 0
          ? (
            <>
              You have no agent of your own yet. <TextLink to="/agents">Make one first</TextLink>
            </>
          )
          : "Buyers get its name and instructions as they are when you publish."}
        options={[
          { value: "", label: "Choose an agent" },
          ...agents.map((agent) => ({ value: agent.id, label: agent.name })),
        ]}
      />
      <TextField
        label="Title"
        value={form.title}
        maxLength={MAX_TITLE}
        required
        autoComplete="off"
        error={problems.title}
        onChange={(event) => onChange({ title: event.target.value })}
      />
      <TextAreaField
        label="Description"
        value={form.description}
        maxLength={MAX_DESCRIPTION}
        error={problems.description}
        className="min-h-40"
        placeholder="What it is good at, for whom, and what it does not do."
        hint="Plain text. Everybody can read it, also without an account."
        onChange={(event) => onChange({ description: event.target.value })}
      />
      <div className="grid gap-1.5">
        <span className="text-sm font-medium">How it is sold</span>
        {isPublished
          ? (
            <p className="text-sm text-muted">
              {`${KIND_NAMES[form.kind]}. That cannot change once it was published.`}
            </p>
          )
          : (
            <Choice<Kind>
              label="How it is sold"
              value={form.kind}
              onChange={(kind) => onChange({ kind })}
              className="justify-self-start"
              options={KINDS.map((value) => ({ value, label: KIND_NAMES[value] }))}
            />
          )}
      </div>
      <div className="grid grid-cols-[minmax(0,1fr)_7rem] items-start gap-4 sm:max-w-md">
        <MoneyField
          label={form.kind === "monthly" ? "Price a month" : "Price"}
          symbol={symbol}
          value={form.price}
          error={problems.price}
          hint={earningText(form, feeBps)}
          onChange={(event) => onChange({ price: event.target.value })}
        />
        <SelectField
          label="Currency"
          value={form.currency}
          className="[&_select]:h-12"
          onChange={(currency) => onChange({ currency })}
          options={currencies.map((value) => ({ value, label: value.toUpperCase() }))}
        />
      </div>
    </>
  );
}

/** What is left of the price. */
function earningText({ price, currency, kind }: ListingForm, feeBps: number): string {
  const minor = parseMoney(price, currency);
  const rhythm = kind === "monthly" ? " a month" : "";
  return minor === null || minor === 0
    ? `The marketplace keeps ${percentText(feeBps)}.`
    : `You get ${formatExact(earningOf(minor, feeBps), currency)}${rhythm}; the marketplace keeps ${
      percentText(feeBps)
    }.`;
}
