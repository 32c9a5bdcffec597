/** A number with a comma before every three digits or none at all; `1,5` is neither, and is not guessed at. */
const NUMBER = /\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+/y;
const SIGNS: Record<string, string> = { "×": "*", "·": "*", "÷": "/", "−": "-" };
export const MAX_EXPRESSION = 200;

/**
 * The value of an arithmetic expression: `+ - * / ^ %` (percent), brackets, decimals. Null when it is none, or no more than
 * a number. Division by zero and overflow are not finite. No code is ever run: this is a recursive descent over at most 200
 * characters.
 */
export function calculate(expression: string): number | null {
  if (expression.length > MAX_EXPRESSION) return null;
  const tokens = tokenize(expression.replace(/[×·÷−]/g, (sign) => SIGNS[sign] ?? sign));
  if (tokens === null) return null;
  const reader: Reader = { tokens, at: 0, operations: 0 };
  const value = sum(reader);
  const whole = reader.at === tokens.length && reader.operations > 0;
  return whole ? value : null;
}

/** At most 15 digits, which a double keeps exactly; what needs more is said to be about. */
export function formatResult(value: number): string {
  if (!Number.isFinite(value)) return "has no result that I could write down";
  const rounded = Number(value.toPrecision(15));
  const digits = String(rounded).replace(/e.*$/, "").replace(/\D/g, "").replace(/^0+/, "");
  const exact = digits.length < 15 && Math.abs(rounded) <= Number.MAX_SAFE_INTEGER;
  return `${exact ? "=" : "≈"} ${rounded}`;
}

type Token = number | string;

interface Reader {
  tokens: Token[];
  at: number;
  operations: number;
}

function tokenize(text: string): Token[] | null {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const character = text.charAt(at);
    if (/\s/.test(character)) {
      at += 1;
      continue;
    }
    NUMBER.lastIndex = at;
    const [number] = NUMBER.exec(text) ?? [];
    if (number !== undefined) tokens.push(Number(number.replaceAll(",", "")));
    else if ("+-*/^%()".includes(character)) tokens.push(character);
    else return null;
    at += number?.length ?? 1;
  }
  return tokens;
}

/** Takes the next token if it is one of these. */
function take(reader: Reader, signs: string): string | null {
  const token = reader.tokens[reader.at];
  if (typeof token !== "string" || !signs.includes(token)) return null;
  reader.at += 1;
  return token;
}

function sum(reader: Reader): number | null {
  let value = product(reader);
  for (let sign = take(reader, "+-"); sign !== null; sign = take(reader, "+-")) {
    const next = product(reader);
    if (value === null || next === null) return null;
    value = sign === "+" ? value + next : value - next;
    reader.operations += 1;
  }
  return value;
}

function product(reader: Reader): number | null {
  let value = signed(reader);
  for (let sign = take(reader, "*/"); sign !== null; sign = take(reader, "*/")) {
    const next = signed(reader);
    if (value === null || next === null) return null;
    value = sign === "*" ? value * next : value / next;
    reader.operations += 1;
  }
  return value;
}

/** As in mathematics a sign binds less than a power: -2^2 is -4. */
function signed(reader: Reader): number | null {
  const sign = take(reader, "+-");
  if (sign === null) return power(reader);
  const value = signed(reader);
  return value === null || sign === "+" ? value : -value;
}

function power(reader: Reader): number | null {
  const base = percentage(reader);
  if (base === null || take(reader, "^") === null) return base;
  const exponent = signed(reader);
  reader.operations += 1;
  return exponent === null ? null : base ** exponent;
}

function percentage(reader: Reader): number | null {
  let value = atom(reader);
  while (value !== null && take(reader, "%") !== null) value /= 100;
  return value;
}

function atom(reader: Reader): number | null {
  const token = reader.tokens[reader.at];
  if (typeof token === "number") {
    reader.at += 1;
    return token;
  }
  if (take(reader, "(") === null) return null;
  const value = sum(reader);
  return take(reader, ")") === null ? null : value;
}
