/* Comfort only: every form works without this file. */
const inputOf = (form, name) => form.elements.namedItem(name);

function type(input, value) {
  if (!(input instanceof HTMLInputElement)) return;
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

/* Test cards fill the form in place instead of going through the server. */
for (const button of document.querySelectorAll("button[data-fill]")) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    const year = String(new Date().getUTCFullYear() + 4).slice(-2);
    type(inputOf(button.form, "number"), button.dataset.fill);
    type(inputOf(button.form, "expiry"), `12 / ${year}`);
    type(inputOf(button.form, "cvc"), "123");
    const another = button.form.querySelector('input[name="method"][value="new"]');
    if (another) another.checked = true;
    document.querySelectorAll(".helper button").forEach((each) =>
      each.removeAttribute("data-chosen")
    );
    button.dataset.chosen = "";
    const email = inputOf(button.form, "email");
    const next = email instanceof HTMLInputElement && email.required && !email.value
      ? email
      : button.form.querySelector("button.primary");
    next?.focus();
  });
}

/* Groups digits while typing, keeping the caret behind the digit it was behind. */
function group(input, format) {
  input.addEventListener("input", () => {
    const caret = input.selectionStart ?? input.value.length;
    const before = input.value.slice(0, caret).replace(/\D/g, "").length;
    const atEnd = caret === input.value.length;
    const text = format(input.value);
    if (text === input.value) return;
    input.value = text;
    let position = 0;
    for (let seen = 0; position < text.length && seen < before; position++) {
      if (/\d/.test(text[position])) seen++;
    }
    if (atEnd) position = text.length;
    input.setSelectionRange(position, position);
  });
}
for (const input of document.querySelectorAll("#number")) {
  group(input, (text) => text.replace(/\D/g, "").slice(0, 19).replace(/(\d{4})(?=\d)/g, "$1 "));
}
for (const input of document.querySelectorAll("#expiry")) {
  group(input, (text) => {
    const full = /^\s*(\d{1,2})\s*[/-]\s*(\d{2,4})\s*$/.exec(text);
    if (full) return `${full[1].padStart(2, "0")} / ${full[2]}`;
    const digits = text.replace(/\D/g, "").slice(0, 4);
    return digits.length > 2 ? `${digits.slice(0, 2)} / ${digits.slice(2)}` : text;
  });
}

/* A second click waits for the first answer. The server does not rely on it. */
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent !== undefined) return event.preventDefault();
    form.dataset.sent = "";
    form.querySelector("button.primary, button.danger")?.setAttribute("aria-busy", "true");
  });
}
/* A page taken from the back/forward cache is ready again. */
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  document.querySelectorAll("[aria-busy]").forEach((each) => each.removeAttribute("aria-busy"));
});
