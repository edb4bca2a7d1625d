/** Constants of the Python package that the page shares; `facts.py` writes them when the page is built. */
import facts from "./generated/facts.json";

export { facts };
