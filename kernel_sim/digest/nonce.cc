#include "kernel_sim/digest/nonce.h"

#include <algorithm>
#include <span>

#include <openssl/crypto.h>

#include "kernel_sim/base/assert.h"

namespace ktlsim::digest {
namespace {

// Where the parts of a nonce begin.
constexpr std::size_t kNodeAt = 1;
constexpr std::size_t kTimeAt = 5;
constexpr std::size_t kEpochAt = 12;
constexpr std::size_t kNumberAt = 20;
constexpr std::size_t kRandomAt = 24;
constexpr std::size_t kServerAt = 36;
constexpr std::size_t kOpaqueAt = 44;
constexpr std::size_t kCodeAt = 53;

constexpr std::uint8_t kVersion = 2;
constexpr std::uint8_t kVersionOfBindings = 3;
constexpr std::size_t kServerBytes = kOpaqueAt - kServerAt;
constexpr std::size_t kOpaqueBytes = kCodeAt - kOpaqueAt;
constexpr std::size_t kCodeBytes = kNonceBytes - kCodeAt;
static_assert(kNonceCharacters == kNonceBytes / 3 * 4);

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// The value of each character; 64: none.
constexpr std::array<std::uint8_t, 256> kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(64);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values.at(static_cast<unsigned char>(kAlphabet[i])) = static_cast<std::uint8_t>(i);
  }
  return values;
}();

std::string_view AsText(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void PutNumber(std::uint64_t value, std::span<std::uint8_t> out) {
  for (std::size_t i = out.size(); i > 0; --i) {
    out[i - 1] = static_cast<std::uint8_t>(value);
    value >>= 8;
  }
}

std::uint64_t GetNumber(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = (value << 8) | byte;
  return value;
}

// False: not exactly the characters of a nonce, or of another version.
bool Decode(std::string_view text, std::span<std::uint8_t, kNonceBytes> raw) {
  const bool asks = text.starts_with(kUpgraded);
  if (asks) text.remove_prefix(kUpgraded.size());
  if (text.size() != kNonceCharacters) return false;
  unsigned invalid = 0;
  for (std::size_t i = 0; i < kNonceBytes / 3; ++i) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::uint8_t value = kValues[static_cast<unsigned char>(text[4 * i + j])];
      invalid |= value & 64U;
      group = (group << 6) | (value & 63U);
    }
    PutNumber(group, raw.subspan(3 * i, 3));
  }
  return invalid == 0 && raw[0] == (asks ? kVersionOfBindings : kVersion);
}

void Encode(std::span<const std::uint8_t, kNonceBytes> raw,
            std::span<char, kNonceCharacters> text) {
  for (std::size_t i = 0; i < kNonceBytes / 3; ++i) {
    std::uint64_t group = GetNumber(raw.subspan(3 * i, 3));
    for (std::size_t j = 4; j > 0; --j) {
      text[4 * i + j - 1] = kAlphabet[group & 63U];
      group >>= 6;
    }
  }
}

}  // namespace

NonceMint::NonceMint(const Identity& identity, Bytes key, Bytes previous_key)
    : node_(identity.node),
      current_(MakeKey(identity, key)),
      previous_(previous_key.empty() ? std::nullopt : MakeKey(identity, previous_key)),
      works_(current_.has_value() && (previous_key.empty() || previous_.has_value())) {}

std::optional<NonceMint::Key> NonceMint::MakeKey(const Identity& identity, Bytes key) {
  KTLSIM_CHECK(key.size() == kNonceKeyBytes);
  std::array<std::uint8_t, 8> length{};
  PutNumber(identity.server.size(), length);
  Key made = {.key = HashValue(key), .server = {}};
  Hasher hasher(HashId::kSha256);
  if (!hasher.Hmac(key, {"server", AsText(length), identity.server, identity.realm},
                   &made.server)) {
    return std::nullopt;
  }
  return made;
}

bool NonceMint::Seal(const Key& key, const Raw& raw, HashValue* code) {
  Hasher hasher(HashId::kSha256);
  return hasher.Hmac(key.key.bytes(), {"nonce", AsText(std::span(raw).first(kCodeAt))}, code);
}

bool NonceMint::CodeOf(const Key& key, const Opaque& opaque, HashValue* code) {
  Hasher hasher(HashId::kSha256);
  return hasher.Hmac(key.key.bytes(), {"opaque", AsText(opaque.bytes())}, code);
}

std::optional<bool> NonceMint::IsOurs(const Key& key, const Raw& raw) {
  HashValue code;
  if (!Seal(key, raw, &code)) return std::nullopt;
  const bool code_is_right =
      CRYPTO_memcmp(code.bytes().data(), raw.data() + kCodeAt, kCodeBytes) == 0;
  const bool server_is_right =
      CRYPTO_memcmp(key.server.bytes().data(), raw.data() + kServerAt, kServerBytes) == 0;
  return code_is_right && server_is_right;
}

bool NonceMint::Mint(std::uint64_t now_ms, const NonceStamp& stamp, const Opaque& opaque,
                     NonceText* out, NonceAsks asks) const {
  if (!works_ || !current_.has_value()) return false;
  Raw raw{};
  const std::span parts(raw);
  raw[0] = asks == NonceAsks::kBindings ? kVersionOfBindings : kVersion;
  PutNumber(node_, parts.subspan(kNodeAt, kTimeAt - kNodeAt));
  PutNumber(now_ms, parts.subspan(kTimeAt, kEpochAt - kTimeAt));
  PutNumber(stamp.epoch, parts.subspan(kEpochAt, kNumberAt - kEpochAt));
  PutNumber(stamp.number, parts.subspan(kNumberAt, kRandomAt - kNumberAt));
  if (!FillRandom(parts.subspan(kRandomAt, kServerAt - kRandomAt))) return false;
  std::ranges::copy(current_->server.bytes().first(kServerBytes), parts.begin() + kServerAt);
  HashValue of_opaque;
  if (!CodeOf(*current_, opaque, &of_opaque)) return false;
  std::ranges::copy(of_opaque.bytes().first(kOpaqueBytes), parts.begin() + kOpaqueAt);
  HashValue code;
  if (!Seal(*current_, raw, &code)) return false;
  std::ranges::copy(code.bytes().first(kCodeBytes), parts.begin() + kCodeAt);
  const std::string_view prefix = asks == NonceAsks::kBindings ? kUpgraded : std::string_view();
  std::ranges::copy(prefix, out->characters_.begin());
  out->size_ = prefix.size() + kNonceCharacters;
  Encode(raw, std::span<char, kNonceCharacters>(out->characters_.begin() + prefix.size(),
                                                kNonceCharacters));
  return true;
}

NonceJudgement NonceMint::Judge(std::string_view nonce, std::uint64_t now_ms,
                                std::uint64_t life_ms) const {
  Raw raw{};
  if (!Decode(nonce, raw)) return {};
  NonceJudgement unknown;
  unknown.kind = NonceKind::kNoMemory;
  if (!works_ || !current_.has_value()) return unknown;
  std::optional<bool> ours = IsOurs(*current_, raw);
  if (ours == false && previous_.has_value()) ours = IsOurs(*previous_, raw);
  if (!ours.has_value()) return unknown;
  if (!*ours) return {};
  const std::span<const std::uint8_t> parts(raw);
  const std::uint64_t made_ms = GetNumber(parts.subspan(kTimeAt, kEpochAt - kTimeAt));
  const bool ahead = made_ms > now_ms && made_ms - now_ms > kClockSkewMs;
  const bool old = now_ms > made_ms && now_ms - made_ms > life_ms;
  return {.kind = ahead || old ? NonceKind::kExpired : NonceKind::kGood,
          .node = static_cast<std::uint32_t>(GetNumber(parts.subspan(kNodeAt, kTimeAt - kNodeAt))),
          .made_ms = made_ms,
          .stamp = {.epoch = GetNumber(parts.subspan(kEpochAt, kNumberAt - kEpochAt)),
                    .number = static_cast<std::uint32_t>(
                        GetNumber(parts.subspan(kNumberAt, kRandomAt - kNumberAt)))}};
}

std::optional<bool> NonceMint::IsOf(const Key& key, const Raw& raw, const Opaque& opaque) {
  const std::optional<bool> ours = IsOurs(key, raw);
  if (ours != true) return ours;
  HashValue code;
  if (!CodeOf(key, opaque, &code)) return std::nullopt;
  return CRYPTO_memcmp(code.bytes().data(), raw.data() + kOpaqueAt, kOpaqueBytes) == 0;
}

std::optional<bool> NonceMint::BelongsTo(std::string_view nonce, const Opaque& opaque) const {
  Raw raw{};
  if (!Decode(nonce, raw)) return false;
  if (!works_ || !current_.has_value()) return std::nullopt;
  const std::optional<bool> of_current = IsOf(*current_, raw, opaque);
  if (of_current != false || !previous_.has_value()) return of_current;
  return IsOf(*previous_, raw, opaque);
}

std::optional<Opaque> Opaque::Draw() {
  std::array<std::uint8_t, kBytes> bytes{};
  if (!FillRandom(bytes)) return std::nullopt;
  return Opaque(bytes);
}

std::optional<Opaque> Opaque::Parse(std::string_view text) {
  HashValue value;  // as long as an MD5 hash
  if (!ParseHex(text, HashId::kMd5, &value)) return std::nullopt;
  std::array<std::uint8_t, kBytes> bytes{};
  std::ranges::copy(value.bytes(), bytes.begin());
  return Opaque(bytes);
}

std::array<char, Opaque::kDigits> Opaque::text() const {
  std::array<char, kDigits> text{};
  std::ranges::copy(HexText(HashValue(bytes_)).view(), text.begin());
  return text;
}

bool operator==(const Opaque& a, const Opaque& b) {
  return CRYPTO_memcmp(a.bytes_.data(), b.bytes_.data(), Opaque::kBytes) == 0;
}

}  // namespace ktlsim::digest
