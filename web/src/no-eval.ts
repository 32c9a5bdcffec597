/** Imported before any schema is made: zod would try `new Function`, which the Content-Security-Policy forbids and reports. */
import * as z from "zod/mini";

z.config({ jitless: true });
