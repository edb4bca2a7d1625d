/** What the package knows and the page needs; written by `facts.py` when the page is built. */
import facts from "./generated/facts.json";

export { facts };
