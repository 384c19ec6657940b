// Byte-pair encoding with bytes for unknown characters, and the mean of static token vectors.
class Tokenizer {
  constructor(settings) {
    const model = settings.model;
    this.ids = new Map(Object.entries(model.vocab));
    this.merges = new Map();
    model.merges.forEach((merge, rank) => {
      const [left, right] = Array.isArray(merge) ? merge : merge.split(" ");
      this.merges.set(this.ids.get(left) * 0x4000000 + this.ids.get(right), [rank, this.ids.get(left + right)]);
    });
    this.bytes = Array.from({ length: 256 }, (_, byte) => this.ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`));
    this.added = new Map(settings.added_tokens.map((token) => [token.content, token.id]));
    const escaped = [...this.added.keys()].sort((a, b) => b.length - a.length).map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    this.split = escaped.length ? new RegExp(`(${escaped.join("|")})`, "u") : null;
    this.space = this.ids.get("\u2581");
    this.cache = new Map();
  }

  // The ids of a word with the blanks before it.
  encode(word) {
    const pieces = this.split ? word.split(this.split) : [word];
    return pieces.flatMap((piece, i) => (i % 2 ? [this.added.get(piece)] : piece ? this.encodePiece("\u2581" + piece.replaceAll(" ", "\u2581")) : []));
  }

  encodePiece(text) {
    const ids = [];
    for (const char of text) {
      const id = this.ids.get(char);
      if (id !== undefined) ids.push(id);
      else for (const byte of new TextEncoder().encode(char)) ids.push(this.bytes[byte]);
    }
    return this.merge(ids);
  }

  // Merge neighbours, the pair of the lowest rank first, the leftmost of equals.
  merge(ids) {
    const next = ids.map((_, i) => (i + 1 < ids.length ? i + 1 : -1)), before = ids.map((_, i) => i - 1), gone = new Uint8Array(ids.length);
    const heap = [];
    const less = (a, b) => a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
    const push = (left) => {
      const merge = next[left] < 0 ? undefined : this.merges.get(ids[left] * 0x4000000 + ids[next[left]]);
      if (merge === undefined) return;
      let at = heap.push([merge[0], left, merge[1], ids[left], ids[next[left]]]) - 1;
      for (; at > 0 && less(heap[at], heap[(at - 1) >> 1]); at = (at - 1) >> 1) [heap[at], heap[(at - 1) >> 1]] = [heap[(at - 1) >> 1], heap[at]];
    };
    const pop = () => {
      const top = heap[0], last = heap.pop();
      if (heap.length) {
        heap[0] = last;
        for (let at = 0; ; ) {
          let child = 2 * at + 1;
          if (child >= heap.length) break;
          if (child + 1 < heap.length && less(heap[child + 1], heap[child])) child++;
          if (!less(heap[child], heap[at])) break;
          [heap[at], heap[child]] = [heap[child], heap[at]];
          at = child;
        }
      }
      return top;
    };
    for (let i = 0; i < ids.length; i++) push(i);
    while (heap.length) {
      const [, left, merged, first, second] = pop(), right = next[left];
      if (gone[left] || right < 0 || ids[left] !== first || ids[right] !== second) continue;
      ids[left] = merged;
      gone[right] = 1;
      next[left] = next[right];
      if (next[right] >= 0) before[next[right]] = left;
      if (before[left] >= 0) push(before[left]);
      push(left);
    }
    return ids.filter((_, i) => !gone[i]);
  }

  // The same, kept for words that come again.
  word(word) {
    let found = this.cache.get(word);
    if (found === undefined) {
      found = word === "" ? [this.space] : this.encode(word);
      if (this.cache.size > 50000) this.cache.clear();
      this.cache.set(word, found);
    }
    return found;
  }
}

// Words at single blanks; further blanks of a run stay before the next word, an empty word is one blank at the end.
function splitWords(text) {
  if (!text) return [];
  const words = [];
  let blanks = 0;
  for (const piece of text.split(" ")) {
    if (piece) {
      words.push(" ".repeat(blanks) + piece);
      blanks = 0;
    } else blanks++;
  }
  if (blanks) words.push(" ".repeat(blanks - 1));
  return words;
}

class StaticVectors {
  constructor(settings, tensors) {
    const table = Object.values(tensors).find((tensor) => tensor.shape.length === 2);
    this.tokenizer = new Tokenizer(settings);
    this.table = table.data;
    this.width = table.shape[1];
  }

  // The mean of the token vectors, of length 1.
  embed(text) {
    const vector = new Float32Array(this.width);
    let tokens = 0;
    for (const word of splitWords(text.replace(LONE, "?"))) {
      for (const id of this.tokenizer.word(word)) {
        const at = id * this.width;
        for (let i = 0; i < this.width; i++) vector[i] += this.table[at + i];
        tokens++;
      }
    }
    let norm = 0;
    for (let i = 0; i < this.width; i++) {
      vector[i] /= Math.max(tokens, 1);
      norm += vector[i] * vector[i];
    }
    norm = Math.max(Math.sqrt(norm), 1e-12);
    for (let i = 0; i < this.width; i++) vector[i] /= norm;
    return vector;
  }
}
