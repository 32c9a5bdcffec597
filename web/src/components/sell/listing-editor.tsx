import { type FormEvent, useState } from "react";
import { useNavigate } from "react-router";
import { usePicture } from "../../hooks/use-picture.ts";
import { type Saving, useSaveListing } from "../../hooks/use-seller.ts";
import { currencySymbol, moneyInput } from "../../lib/money.ts";
import { type Found, HOUSE_NAME } from "../../lib/marketplace.ts";
import type { Agent } from "../../lib/records.ts";
import {
  type FormProblems,
  type ListingForm,
  type OwnListing,
  readListingForm,
  type Seller,
} from "../../lib/seller.ts";
import { ListingCard } from "../marketplace/listing-card.tsx";
import { ErrorNotice } from "../notice.tsx";
import { type Asked, EditorDialogs } from "./editor-dialogs.tsx";
import { Done, type EditorDone, EditorFoot } from "./editor-foot.tsx";
import { ListingFields } from "./listing-fields.tsx";
import { PictureField } from "./picture-field.tsx";

interface ListingEditorProps {
  id: string;
  /** null: a new one. */
  listing: OwnListing | null;
  seller: Seller;
  agents: Agent[];
  minimums: Record<string, number>;
  storedPicture: string | null;
  firstAgentId: string;
}

/** The form of a listing beside the card that it becomes. */
export function ListingEditor(props: ListingEditorProps) {
  const { id, listing, seller, agents, minimums, storedPicture } = props;
  const [form, setForm] = useState(() => firstForm(props));
  const [problems, setProblems] = useState<FormProblems>({});
  const [asked, setAsked] = useState<Asked | null>(null);
  const [done, setDone] = useState<EditorDone | null>(null);
  const picture = usePicture(storedPicture);
  const save = useSaveListing();
  const navigate = useNavigate();

  const change = (what: Partial<ListingForm>) => {
    setForm((before) => ({ ...before, ...what }));
    setProblems((before) => withoutKeys(before, Object.keys(what)));
    setDone(null);
  };
  /** What would be stored; null when something is wrong, which then stands at its field. */
  const read = (publish: boolean): Saving | null => {
    const result = readListingForm(form, minimums);
    setProblems("problems" in result ? result.problems : {});
    if ("problems" in result) return null;
    const { fields } = result;
    return { id, isNew: listing === null, fields, picture: picture.change, publish };
  };
  const store = (saving: Saving, onDone?: () => void) =>
    save.mutate(saving, {
      onSuccess: () => {
        setDone(saving.publish ? "published" : "saved");
        onDone?.();
        if (saving.isNew) navigate(`/sell/listings/${id}`, { replace: true });
      },
    });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const saving = read(false);
    if (saving) store(saving);
    else focusFirstProblem();
  };
  const askToPublish = () => {
    const saving = read(true);
    save.reset();
    if (saving) setAsked({ kind: "publish", saving });
    else focusFirstProblem();
  };

  return (
    <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-x-12 gap-y-8 lg:grid-cols-[minmax(0,1fr)_18rem]">
      <form noValidate onSubmit={submit} className="grid grid-cols-[minmax(0,1fr)] gap-6">
        <ListingFields
          form={form}
          problems={problems}
          agents={agents.filter((agent) => agent.sourceListingId === null)}
          currencies={Object.keys(minimums).sort()}
          symbol={currencySymbol(form.currency)}
          feeBps={seller.feeBps}
          isPublished={(listing?.version ?? 0) > 0}
          onChange={change}
        />
        <PictureField state={picture} onTouch={() => setDone(null)} />
        {save.error && asked === null && <ErrorNotice error={save.error} />}
        <EditorFoot
          listing={listing}
          seller={seller}
          isSaving={save.isPending && asked === null}
          isReading={picture.isReading}
          onPublish={askToPublish}
          onAsk={setAsked}
        >
          {done && <Done done={done} listingId={id} onRead={() => setDone(null)} />}
        </EditorFoot>
      </form>
      <aside aria-label="Preview" className="sticky top-8 grid gap-3 max-lg:hidden">
        <h2 className="text-sm font-semibold text-muted">On the marketplace</h2>
        <div inert>
          <ul>
            <ListingCard
              listing={previewOf(id, form, minimums, seller)}
              picture={picture.picture}
            />
          </ul>
        </div>
      </aside>
      <EditorDialogs
        asked={asked}
        listing={listing}
        save={save}
        onPublish={(saving) => store(saving, () => setAsked(null))}
        onClose={() => setAsked(null)}
        onWithdrawn={() => setDone("withdrawn")}
      />
    </div>
  );
}

function firstForm({ listing, agents, minimums, firstAgentId }: ListingEditorProps): ListingForm {
  if (listing) {
    const { agentId, title, description, kind, priceMinor, currency } = listing;
    const price = moneyInput(priceMinor, currency);
    return { agentId: agentId ?? "", title, description, kind, price, currency };
  }
  const agent = agents.find((row) => row.id === firstAgentId && row.sourceListingId === null);
  return {
    agentId: agent?.id ?? "",
    title: agent?.name.slice(0, 80) ?? "",
    description: "",
    kind: "one_time",
    price: "",
    currency: "usd" in minimums ? "usd" : Object.keys(minimums)[0] ?? "usd",
  };
}

function previewOf(
  id: string,
  form: ListingForm,
  minimums: Record<string, number>,
  seller: Seller,
): Found {
  const result = readListingForm({ ...form, agentId: "any", title: form.title || "x" }, minimums);
  return {
    id,
    title: form.title.trim() || "Title",
    description: form.description,
    category: "agent",
    kind: form.kind,
    priceMinor: "fields" in result ? result.fields.priceMinor : 0,
    currency: form.currency,
    sellerName: seller.displayName || HOUSE_NAME,
    salesCount: 0,
    salesPaused: false,
    status: "draft",
    grants: null,
    isOwned: false,
    isOwn: false,
  };
}

function withoutKeys(problems: FormProblems, names: string[]): FormProblems {
  return Object.fromEntries(Object.entries(problems).filter(([name]) => !names.includes(name)));
}

/** After the problems are drawn: the keyboard goes on at the first of them. */
function focusFirstProblem(): void {
  requestAnimationFrame(() =>
    document.querySelector<HTMLElement>("main form [aria-invalid=true]")?.focus()
  );
}
