/** The tests of the modules read English texts. */
import { useLanguage } from "../src/language";

await useLanguage("en");
