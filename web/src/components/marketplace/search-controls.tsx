import { Search as SearchIcon, X } from "lucide-react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useCurrencies } from "../../hooks/use-marketplace.ts";
import {
  CATEGORIES,
  type Category,
  CATEGORY_NAMES,
  type Kind,
  KIND_NAMES,
  KINDS,
  MAX_QUERY,
  type Search,
  type Sort,
  SORT_NAMES,
  SORTS,
} from "../../lib/marketplace.ts";
import { Button } from "../ui/button.tsx";
import { Choice } from "../ui/choice.tsx";
import { SelectField } from "../ui/select.tsx";

const PAUSE_MS = 300;

interface SearchControlsProps {
  search: Search;
  onChange: (change: Partial<Search>) => void;
}

/** Words, what it is, how it is paid, and the order. All of it stands in the address. */
export function SearchControls({ search, onChange }: SearchControlsProps) {
  const sorts = SORTS.filter((sort) => sort !== "relevance" || search.query.trim() !== "");
  return (
    <search className="grid gap-3">
      <SearchField query={search.query} onQuery={(query) => onChange({ query })} />
      <div className="flex flex-wrap items-center justify-between gap-3">
        <Choice<Category | "all">
          label="What it is"
          value={search.category ?? "all"}
          onChange={(value) => onChange({ category: value === "all" ? null : value })}
          className="max-sm:w-full max-sm:[&>button]:flex-1 max-sm:[&>button]:justify-center max-sm:[&>button]:px-1"
          options={[
            { value: "all", label: "All" },
            ...CATEGORIES.map((value) => ({ value, label: CATEGORY_NAMES[value] })),
          ]}
        />
        <div className="grid grid-cols-2 gap-3 max-sm:w-full sm:flex">
          <SelectField<Kind | "all">
            label="How it is paid"
            hideLabel
            value={search.kind ?? "all"}
            onChange={(value) => onChange({ kind: value === "all" ? null : value })}
            options={[
              { value: "all", label: "Any kind" },
              ...KINDS.map((value) => ({ value, label: KIND_NAMES[value] })),
            ]}
          />
          <CurrencyField search={search} onChange={onChange} />
          <SelectField<Sort>
            label="Order"
            hideLabel
            className="max-sm:col-span-2"
            value={search.sort}
            onChange={(sort) => onChange({ sort })}
            options={sorts.map((value) => ({ value, label: SORT_NAMES[value] }))}
          />
        </div>
      </div>
    </search>
  );
}

/** Prices are compared within a currency: without one, those of each stand together. */
function CurrencyField({ search, onChange }: SearchControlsProps) {
  const { data } = useCurrencies();
  const known = Object.keys(data ?? {});
  const values = search.currency && !known.includes(search.currency)
    ? [...known, search.currency]
    : known;
  return (
    <SelectField<string>
      label="Currency"
      hideLabel
      value={search.currency ?? "all"}
      onChange={(value) => onChange({ currency: value === "all" ? null : value })}
      options={[
        { value: "all", label: "Any currency" },
        ...values.toSorted().map((value) => ({ value, label: value.toUpperCase() })),
      ]}
    />
  );
}

/** Looks once typing pauses, or at once with Enter; follows the address when somebody goes back. */
function SearchField({ query, onQuery }: { query: string; onQuery: (query: string) => void }) {
  const [text, setText] = useState(query);
  const sent = useRef(query);
  const field = useRef<HTMLInputElement>(null);
  const typed = useRef(query);
  typed.current = text.trim();
  useEffect(() => {
    if (query === sent.current) return;
    // What is being typed is newer than any address.
    if (typed.current === sent.current) setText(query);
    sent.current = query;
  }, [query]);
  const send = useRef(onQuery);
  send.current = onQuery;
  const look = (words: string) => {
    if (words === sent.current) return;
    sent.current = words;
    send.current(words);
  };
  useEffect(() => {
    const timer = setTimeout(() => look(text.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    look(text.trim());
  };
  return (
    <form onSubmit={submit} className="relative">
      <SearchIcon
        aria-hidden
        className="pointer-events-none absolute top-1/2 left-4 size-5 -translate-y-1/2 text-muted"
      />
      <input
        ref={field}
        type="search"
        aria-label="Search the marketplace"
        placeholder="Search agents, templates, add-ons"
        value={text}
        maxLength={MAX_QUERY}
        enterKeyHint="search"
        onChange={(event) => setText(event.target.value)}
        className="h-12 w-full rounded-xl border border-line-strong bg-card pr-12 pl-12 text-base text-ink placeholder:text-muted [&::-webkit-search-cancel-button]:appearance-none"
      />
      {text !== "" && (
        <Button
          variant="ghost"
          size="icon-sm"
          aria-label="Clear the search"
          className="absolute top-2 right-2"
          onClick={() => {
            setText("");
            look("");
            field.current?.focus();
          }}
        >
          <X aria-hidden />
        </Button>
      )}
    </form>
  );
}
