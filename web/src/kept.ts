/** Choices that this browser keeps for the next visit. Without storage, they last until the page is closed. */

export function kept(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // The choice was made, and is forgotten.
  }
}
