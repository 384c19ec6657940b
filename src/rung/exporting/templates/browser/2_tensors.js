// Tensors of safetensors files, which stand in the model's file as base64.
// What files that are not always there add: of use to pages, and to tests.
const PUBLIC = {}, PARTS = {}, single = Math.fround;
const KINDS = {
  F64: Float64Array, F32: Float32Array, I64: BigInt64Array, U64: BigUint64Array, I32: Int32Array, U32: Uint32Array,
  I16: Int16Array, U16: Uint16Array, I8: Int8Array, U8: Uint8Array, BOOL: Uint8Array, F16: Uint16Array,
};

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function halfTable() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31, fraction = bits & 1023, sign = bits >> 15 ? -1 : 1;
    table[bits] = sign * (exponent === 0 ? fraction * 2 ** -24
      : exponent === 31 ? (fraction ? NaN : Infinity) : (1 + fraction / 1024) * 2 ** (exponent - 15));
  }
  return table;
}

// name -> {data, shape}; 16-bit floats become 32-bit ones, 64-bit integers plain numbers where they stand for places.
function readTensors(base64) {
  const bytes = bytesOf(base64);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const found = {};
  let halves = null;
  for (const [name, about] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = about.data_offsets, Kind = KINDS[about.dtype];
    if (!Kind) throw new Error(`the tensor ${name} is of the kind ${about.dtype}, which this file cannot read`);
    let data = new Kind(bytes.slice(8 + length + from, 8 + length + to).buffer);
    if (about.dtype === "F16") {
      halves ??= halfTable();
      data = Float32Array.from(data, (bits) => halves[bits]);
    } else if (about.dtype === "I64") {
      data = Float64Array.from(data, Number);
    }
    found[name] = { data, shape: about.shape };
  }
  return unpacked(found);
}

// What a compressed bundle holds in 8 and 16 bits, as an uncompressed one does: weights of a head, buckets of n-grams.
function unpacked(tensors) {
  const codes = tensors["weights.codes"], scales = tensors["weights.scales"];
  if (codes) tensors.weights = { data: Float32Array.from(codes.data, (code, i) => code * scales.data[i % scales.data.length]), shape: codes.shape };
  for (const [name, steps] of Object.entries(tensors)) {
    if (!name.startsWith("bucket_steps.")) continue;
    let bucket = 0;
    tensors[name.replace("bucket_steps", "buckets")] = { data: Int32Array.from(steps.data, (step) => (bucket += step)), shape: steps.shape };
  }
  return tensors;
}
