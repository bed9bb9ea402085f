#include "tls/record/aead_engine.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "tls/record/aead_ipsec_mb.h"

namespace ktlsim::tls {
namespace {

using Tag = std::array<std::byte, kAeadTagBytes>;
using Nonce = std::array<std::uint8_t, kAeadNonceBytes>;

// The Galois/Counter Mode of Operation (McGrew, Viega), test cases 4 and 16.
constexpr std::array<std::uint8_t, 16> kKnownHalfKey = {
    0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
constexpr Nonce kKnownNonce = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce,
                               0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
constexpr std::array<std::uint8_t, 20> kKnownAad = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe,
                                                    0xef, 0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad,
                                                    0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
constexpr std::array<std::uint8_t, 60> kKnownPlaintext = {
    0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5, 0xaf, 0xf5, 0x26,
    0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda, 0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31,
    0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95, 0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49,
    0xa6, 0xb5, 0x25, 0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
constexpr std::array<std::uint8_t, 16> kKnownTag128 = {
    0x5b, 0xc9, 0x4f, 0xbc, 0x32, 0x21, 0xa5, 0xdb, 0x94, 0xfa, 0xe9, 0x5a, 0xe7, 0x12, 0x1a, 0x47};
constexpr std::array<std::uint8_t, 16> kKnownTag256 = {
    0x76, 0xfc, 0x6e, 0xce, 0x0f, 0x4e, 0x17, 0x68, 0xcd, 0xdf, 0x88, 0x53, 0xbb, 0x2d, 0x55, 0x1b};

std::vector<std::uint8_t> KeyOf(AeadId aead) {
  std::vector<std::uint8_t> key(kKnownHalfKey.begin(), kKnownHalfKey.end());
  if (aead == AeadId::kAes256Gcm) key.insert(key.end(), kKnownHalfKey.begin(), kKnownHalfKey.end());
  return key;
}

// The tag covers the ciphertext, so comparing it compares all.
bool AnswersAsPublished(Aead& engine, AeadId aead) {
  std::array<std::byte, kKnownPlaintext.size()> data;
  std::ranges::copy(std::as_bytes(std::span(kKnownPlaintext)), data.begin());
  Tag tag{};
  if (!engine.Seal(kKnownNonce, kKnownAad, data, {}, tag)) return false;
  return std::ranges::equal(
      tag, std::as_bytes(std::span(aead == AeadId::kAes128Gcm ? kKnownTag128 : kKnownTag256)));
}

struct Sealed {
  std::vector<std::byte> data;
  Tag tag{};
  bool good = false;
};

Sealed SealWith(Aead& engine, const Nonce& nonce, std::span<const std::uint8_t> aad,
                std::size_t size, bool scattered) {
  Sealed sealed;
  sealed.data.resize(size);
  for (std::size_t i = 0; i < size; ++i) sealed.data[i] = static_cast<std::byte>(i * 7 + size);
  const std::span<std::byte> data(sealed.data);
  if (!scattered || size == 0) {
    sealed.good = engine.Seal(nonce, aad, data, {}, sealed.tag);
  } else {
    std::array<std::byte, 1> last = {data.back()};
    sealed.good = engine.Seal(nonce, aad, data.first(size - 1), last, sealed.tag);
    data.back() = last[0];
  }
  return sealed;
}

bool OpensAndRefuses(Aead& engine, const Nonce& nonce, std::span<const std::uint8_t> aad,
                     const Sealed& sealed) {
  std::vector<std::byte> data = sealed.data;
  Tag wrong = sealed.tag;
  wrong[data.size() % wrong.size()] ^= std::byte{1};
  if (engine.Open(nonce, aad, data, wrong)) return false;
  if (std::ranges::any_of(data, [](std::byte byte) { return byte != std::byte{0}; })) return false;
  data = sealed.data;
  if (!engine.Open(nonce, aad, data, sealed.tag)) return false;
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (data[i] != static_cast<std::byte>(i * 7 + data.size())) return false;
  }
  return true;
}

const char* CrossCheckOne(AeadFactory one, AeadFactory other, AeadId aead) {
  const std::vector<std::uint8_t> key = KeyOf(aead);
  const auto a = one(aead, key);
  const auto b = other(aead, key);
  if (a == nullptr || b == nullptr) return "an engine cannot be had";
  if (!AnswersAsPublished(*a, aead) || !AnswersAsPublished(*b, aead)) return "a published answer";
  // Block borders, the borders of 8, 16 and 48 blocks that the code paths know, and records.
  constexpr std::array<std::size_t, 16> kSizes = {0,   1,   15,  16,  17,   64,   65,    127,
                                                  129, 255, 257, 769, 1401, 4097, 16384, 16385};
  Nonce nonce = kKnownNonce;
  for (const std::size_t size : kSizes) {
    nonce.back() = static_cast<std::uint8_t>(size);
    const auto aad = std::span(kKnownAad).first(size % 2 == 0 ? 5 : 13);
    const Sealed first = SealWith(*a, nonce, aad, size, false);
    for (Aead* engine : {a.get(), b.get()}) {
      for (const bool scattered : {false, true}) {
        const Sealed again = SealWith(*engine, nonce, aad, size, scattered);
        if (!again.good || again.data != first.data || again.tag != first.tag) return "a seal";
      }
      if (!OpensAndRefuses(*engine, nonce, aad, first)) return "an open";
    }
  }
  return nullptr;
}

AeadChoice Evp(std::string why) {
  return {&CreateEvpAead, "evp", "AES-GCM by EVP: " + std::move(why)};
}

}  // namespace

const char* CrossCheck(AeadFactory one, AeadFactory other) {
  for (const AeadId aead : {AeadId::kAes128Gcm, AeadId::kAes256Gcm}) {
    if (const char* difference = CrossCheckOne(one, other, aead)) return difference;
  }
  return nullptr;
}

AeadChoice ChooseAead(const char* forced) {
  const std::string_view wish = forced != nullptr ? forced : "";
  if (wish == "evp") return Evp("KTLSIM_AEAD says so");
  const IpsecMbProbe& probe = ProbeIpsecMb();
  if (!probe.usable) return Evp(probe.description);
  if (const char* difference = CrossCheck(&CreateEvpAead, &CreateIpsecMbAead)) {
    return Evp(std::string(probe.description) + " and EVP disagree on " + difference);
  }
  std::string report = std::string("AES-GCM by ") + probe.description;
  if (!wish.empty() && wish != "ipsec-mb") report += "; KTLSIM_AEAD names no engine";
  return {&CreateIpsecMbAead, "ipsec-mb", std::move(report)};
}

const AeadChoice& ChosenAead() {
  // Read once, before the library's own threads start, so the environment does not change
  // meanwhile. NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here writes the environment
  static const AeadChoice choice = ChooseAead(std::getenv("KTLSIM_AEAD"));
  return choice;
}

}  // namespace ktlsim::tls
