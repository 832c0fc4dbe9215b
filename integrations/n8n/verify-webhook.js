// Is this call the hub's, about the job we submitted, and fresh? https://www.standardwebhooks.com
// Code nodes may not load Node's crypto unless their n8n allows it, so SHA-256 (FIPS 180-4) stands here.
const TOLERANCE_SECONDS = 300;

const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
const fraction = (number) => ((number % 1) * 2 ** 32) | 0;
const ROUNDS = primes.map((prime) => fraction(Math.cbrt(prime)));
const START = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
const rotated = (word, bits) => (word >>> bits) | (word << (32 - bits));

function sha256(message) {
  const padded = Buffer.alloc(Math.ceil((message.length + 9) / 64) * 64);
  message.copy(padded);
  padded[message.length] = 0x80;
  padded.writeBigUInt64BE(BigInt(message.length) * 8n, padded.length - 8);
  const hash = [...START];
  const w = new Int32Array(64);
  for (let block = 0; block < padded.length; block += 64) {
    let [a, b, c, d, e, f, g, h] = hash;
    for (let t = 0; t < 64; t++) {
      if (t < 16) w[t] = padded.readInt32BE(block + 4 * t);
      else {
        const s0 = rotated(w[t - 15], 7) ^ rotated(w[t - 15], 18) ^ (w[t - 15] >>> 3);
        const s1 = rotated(w[t - 2], 17) ^ rotated(w[t - 2], 19) ^ (w[t - 2] >>> 10);
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
      }
      const t1 = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[t] + w[t];
      const t2 = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [a, b, c, d, e, f, g, h] = [(t1 + t2) | 0, a, b, c, (d + t1) | 0, e, f, g];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => (hash[i] = (hash[i] + word) | 0));
  }
  const digest = Buffer.alloc(32);
  hash.forEach((word, i) => digest.writeInt32BE(word, 4 * i));
  return digest;
}

function hmac(key, message) {
  const block = Buffer.alloc(64);
  (key.length > 64 ? sha256(key) : key).copy(block);
  const inner = sha256(Buffer.concat([block.map((byte) => byte ^ 0x36), message]));
  return sha256(Buffer.concat([block.map((byte) => byte ^ 0x5c), inner]));
}

// In constant time: how long it takes tells nothing of where two signatures part.
const isSame = (one, other) =>
  one.length === other.length && one.reduce((difference, byte, i) => difference | (byte ^ other[i]), 0) === 0;

function faultOf(headers, body, secret) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers;
  if (!id || !/^\d{1,12}$/.test(timestamp ?? '') || !signatures) return 'it is not signed';
  const age = Date.now() / 1000 - Number(timestamp);
  if (Math.abs(age) > TOLERANCE_SECONDS) return 'its timestamp is not of the last five minutes';
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const expected = hmac(key, Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]));
  const isRight = (each) => each.startsWith('v1,') && isSame(Buffer.from(each.slice(3), 'base64'), expected);
  return signatures.split(' ').some(isRight) ? null : 'its signature is wrong';
}

// The verdict alone: what an in-process Code node makes of a record, later expressions cannot read (n8n 1.123).
const verdict = (word, reason = '') => [{ json: { verdict: word, reason } }];
const { json, binary } = $input.first();
if (!json.query) return verdict('silent'); // nobody called: the wait is over

const secret = $('Settings').first().json.webhook_secret;
if (!secret.startsWith('whsec_')) throw new Error('Settings: webhook_secret must be the hub’s whsec_… secret');
if (!binary?.data) return verdict('refused', 'it has no body');
// The bytes as they came: JSON that was parsed and written again has another signature.
const body = Buffer.from(await this.helpers.getBinaryDataBuffer(0, 'data'));
const fault = faultOf(json.headers, body, secret);
if (fault) return verdict('refused', fault);
const isAboutOurJob = JSON.parse(body.toString()).job_id === $('Submit').first().json.body.job_id;
return isAboutOurJob ? verdict('verified') : verdict('refused', 'it is about another job');
