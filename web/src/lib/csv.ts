/** Tables as CSV by RFC 4180, safe to open in a spreadsheet. Pure. */

/** `decimal`: a number already written as it shall stand, with its zeros. */
export type Cell = string | number | null | { decimal: string };

/** Records end with CRLF, fields with a comma; `null` is an empty field. */
export function toCsv(header: string[], rows: Cell[][]): string {
  return [header, ...rows].map((row) => `${row.map(toField).join(",")}\r\n`).join("");
}

function toField(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell === "number") return String(cell);
  if (typeof cell === "object") return cell.decimal;
  // A spreadsheet runs a text that begins like a formula (owasp.org/www-community/attacks/CSV_Injection).
  const text = /^[=+\-@\t\r\n＝＋－＠]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
