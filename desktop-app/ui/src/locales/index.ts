import { en, type Words } from "./en";

/** BCP 47 tag that numbers and dates are formatted in. */
export const LOCALE = "en-GB";

/** The words on the screen. A second language is a file beside `en.ts` of type `Words`, chosen here. */
export const t: Words = en;
