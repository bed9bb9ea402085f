// What a peer may learn from a refused record: always the same alert and the same amount of work,
// whichever bit was wrong. And nothing of a secret is left in released memory.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include <gtest/gtest.h>

#include "tests/tls/support.h"
#include "tls/record/record.h"
#include "tls/record/secret.h"

namespace ktlsim::tls::test {
namespace {

constexpr std::size_t kBytes = 300;

// ---- The same work for every forgery

// The calls of the engine since the last Reset.
struct Work {
  int calls = 0;
  std::size_t bytes = 0;
  std::size_t aad_bytes = 0;
  friend bool operator==(const Work&, const Work&) = default;
};
Work g_work;

class CountingAead final : public Aead {
 public:
  explicit CountingAead(std::unique_ptr<Aead> engine) : engine_(std::move(engine)) {}
  bool Seal(std::span<const std::uint8_t, kAeadNonceBytes> nonce, std::span<const std::uint8_t> aad,
            std::span<std::byte> data, std::span<std::byte> tail,
            std::span<std::byte, kAeadTagBytes> tag) override {
    return engine_->Seal(nonce, aad, data, tail, tag);
  }
  bool Open(std::span<const std::uint8_t, kAeadNonceBytes> nonce, std::span<const std::uint8_t> aad,
            std::span<std::byte> data, std::span<const std::byte, kAeadTagBytes> tag) override {
    ++g_work.calls;
    g_work.bytes += data.size();
    g_work.aad_bytes += aad.size();
    return engine_->Open(nonce, aad, data, tag);
  }
  bool SetKey(std::span<const std::uint8_t> key) override { return engine_->SetKey(key); }
  void ClearKey() override { engine_->ClearKey(); }

 private:
  std::unique_ptr<Aead> engine_;
};

std::unique_ptr<Aead> CreateCountingAead(AeadId aead, std::span<const std::uint8_t> key) {
  return std::make_unique<CountingAead>(ChosenAead().factory(aead, key));
}

ProtectionState State(CipherSuite suite) {
  ProtectionState state;
  state.suite = FindSuite(static_cast<std::uint16_t>(suite));
  state.aead_factory = &CreateCountingAead;
  if (state.suite->version == Version::kTls13) {
    state.traffic_secret = Secret(std::vector<std::uint8_t>(HashBytes(state.suite->hash), 42));
  } else {
    state.keys.key = Secret(std::vector<std::uint8_t>(state.suite->key_bytes, 42));
    state.keys.iv = Secret(std::vector<std::uint8_t>(kAeadNonceBytes, 43));
  }
  return state;
}

class ForgeryTest : public testing::TestWithParam<CipherSuite> {
 protected:
  Buffer Seal() {
    RecordWriter writer;
    EXPECT_TRUE(writer.Init(State(GetParam())));
    Buffer record(writer.header_bytes() + kBytes + writer.trailer_bytes(), std::byte{0x61});
    const std::span<std::byte> all(record);
    EXPECT_EQ(writer
                  .Seal(ContentType::kApplicationData, all.first(writer.header_bytes()),
                        all.subspan(writer.header_bytes(), kBytes),
                        all.subspan(writer.header_bytes() + kBytes))
                  .outcome,
              SealOutcome::kSealed);
    return record;
  }
  // The work of opening `wire`, and the outcome.
  Work Open(Buffer wire, OpenResult* result) {
    RecordReader reader;
    EXPECT_TRUE(reader.Init(State(GetParam())));
    g_work = {};
    *result = reader.Open(wire);
    const bool wiped = std::ranges::all_of(wire, [](std::byte b) { return b == std::byte{0}; });
    EXPECT_EQ(wiped, result->outcome == OpenResult::Outcome::kFailed);
    return g_work;
  }
};

INSTANTIATE_TEST_SUITE_P(
    Suites, ForgeryTest,
    testing::Values(CipherSuite::kAes128GcmSha256, CipherSuite::kChaCha20Poly1305Sha256,
                    CipherSuite::kEcdheRsaAes128GcmSha256, CipherSuite::kEcdheRsaChaCha20Poly1305),
    [](const auto& test) {
      return std::string(FindSuite(static_cast<std::uint16_t>(test.param))->standard_name);
    });

TEST_P(ForgeryTest, EveryWrongByteCostsWhatARightRecordCostsAndTellsTheSame) {
  const Buffer good = Seal();
  OpenResult result;
  const Work expected = Open(good, &result);
  ASSERT_EQ(result.outcome, OpenResult::Outcome::kOpened);
  ASSERT_EQ(expected.calls, 1);
  for (std::size_t at = kRecordHeaderBytes; at < good.size(); ++at) {
    for (const std::byte bit : {std::byte{1}, std::byte{0x80}}) {
      Buffer wire = good;
      wire[at] ^= bit;
      EXPECT_EQ(Open(wire, &result), expected) << at;
      EXPECT_EQ(result.outcome, OpenResult::Outcome::kFailed) << at;
      EXPECT_EQ(result.alert, FatalAlert(AlertDescription::kBadRecordMac)) << at;
      EXPECT_EQ(result.consumed, 0U) << at;
    }
  }
}

// A wrong tag over an inner plaintext that would be refused as well (no type, too long): the
// padding is not read before the tag is verified (RFC 8446 5.2, 5.4).
TEST(ForgeryOrderTest, NothingInsideIsJudgedBeforeTheTag) {
  for (const std::size_t size : {std::size_t{1}, kFragmentBytesMax + 100}) {
    ProtectionState state = State(CipherSuite::kAes128GcmSha256);
    RecordWriter writer;
    ASSERT_TRUE(writer.Init(State(CipherSuite::kAes128GcmSha256)));
    RecordProtection& protection = writer.protection_for_test();
    Buffer wire(kRecordHeaderBytes + size + kAeadTagBytes);  // zeros: no type at all
    const std::size_t length = wire.size() - kRecordHeaderBytes;
    const std::array<std::uint8_t, 5> header = {23, 3, 3, static_cast<std::uint8_t>(length >> 8),
                                                static_cast<std::uint8_t>(length)};
    std::memcpy(wire.data(), header.data(), header.size());
    ASSERT_TRUE(protection.aead()->Seal(protection.ImplicitNonce(), header,
                                        std::span(wire).subspan(kRecordHeaderBytes, size), {},
                                        std::span(wire).last<kAeadTagBytes>()));
    for (const bool forged : {false, true}) {
      RecordReader reader;
      ASSERT_TRUE(reader.Init(State(CipherSuite::kAes128GcmSha256)));
      Buffer copy = wire;
      if (forged) copy.back() ^= std::byte{1};
      const OpenResult result = reader.Open(copy);
      EXPECT_EQ(result.outcome, OpenResult::Outcome::kFailed);
      EXPECT_EQ(result.alert.description == AlertDescription::kBadRecordMac, forged) << size;
    }
  }
}

// ---- Released memory

// An object in memory that stays readable after its destruction.
template <typename T>
class Remains {
 public:
  template <typename... Arguments>
  explicit Remains(Arguments&&... arguments)
      : memory_(sizeof(T) + alignof(T)),
        object_(new(Place()) T(std::forward<Arguments>(arguments)...)) {}
  ~Remains() { End(); }
  Remains(const Remains&) = delete;
  Remains& operator=(const Remains&) = delete;

  T& operator*() { return *object_; }
  void End() {
    if (object_ != nullptr) std::exchange(object_, nullptr)->~T();
  }
  // Whether eight successive bytes of `secret` occur anywhere in it.
  bool Hold(std::span<const std::uint8_t> secret) const {
    constexpr std::size_t kWindow = 8;
    for (std::size_t i = 0; i + kWindow <= secret.size(); ++i) {
      const auto window = secret.subspan(i, kWindow);
      if (std::search(memory_.begin(), memory_.end(), window.begin(), window.end()) !=
          memory_.end()) {
        return true;
      }
    }
    return false;
  }

 private:
  void* Place() {
    void* at = memory_.data();
    std::size_t space = memory_.size();
    return std::align(alignof(T), sizeof(T), at, space);
  }
  std::vector<std::uint8_t> memory_;
  T* object_;
};

std::vector<std::uint8_t> RisingBytes(std::size_t size, unsigned first) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(first + i * 5);
  return bytes;
}

TEST(WipeTest, ASecretLeavesNothing) {
  const std::vector<std::uint8_t> bytes = RisingBytes(Secret::kBytesMax, 7);
  Remains<Secret> secret{std::span<const std::uint8_t>(bytes)};
  ASSERT_TRUE(secret.Hold(bytes));
  secret.End();
  EXPECT_FALSE(secret.Hold(bytes));
}

TEST(WipeTest, ACopiedOverOrShortenedSecretLeavesNothing) {
  const std::vector<std::uint8_t> bytes = RisingBytes(Secret::kBytesMax, 7);
  Remains<Secret> secret{std::span<const std::uint8_t>(bytes)};
  (*secret).Resize(4);
  EXPECT_FALSE(secret.Hold(bytes));
  *secret = Secret(bytes);
  ASSERT_TRUE(secret.Hold(bytes));
  *secret = Secret(RisingBytes(8, 99));
  EXPECT_FALSE(secret.Hold(bytes));
}

// Reader or writer: the traffic secret, and the key and IV made from it, are there first and gone
// afterwards.
template <typename Direction>
void ExpectNothingLeft() {
  ProtectionState state = State(CipherSuite::kAes256GcmSha384);
  const std::vector<std::uint8_t> traffic_secret = RisingBytes(48, 3);
  state.traffic_secret = Secret(traffic_secret);
  TrafficKeys keys;
  ASSERT_TRUE(DeriveTrafficKeys(*state.suite, state.traffic_secret, keys));
  Secret next;
  ASSERT_TRUE(NextTrafficSecret(state.suite->hash, state.traffic_secret, next));

  Remains<Direction> direction;
  ASSERT_TRUE((*direction).Init(std::move(state)));
  EXPECT_TRUE(direction.Hold(traffic_secret));
  EXPECT_TRUE(direction.Hold(keys.key.span()));
  EXPECT_TRUE(direction.Hold(keys.iv.span()));
  ASSERT_TRUE((*direction).protection_for_test().NextKey());
  EXPECT_FALSE(direction.Hold(traffic_secret)) << "a key update wipes the old secret";
  EXPECT_FALSE(direction.Hold(keys.key.span()));
  EXPECT_TRUE(direction.Hold(next.span()));
  direction.End();
  EXPECT_FALSE(direction.Hold(next.span()));
}

TEST(WipeTest, AReaderLeavesNothing) { ExpectNothingLeft<RecordReader>(); }
TEST(WipeTest, AWriterLeavesNothing) { ExpectNothingLeft<RecordWriter>(); }

TEST(WipeTest, WhatAMovedReaderLeavesBehindIsNothing) {
  const std::vector<std::uint8_t> traffic_secret = RisingBytes(48, 3);
  ProtectionState state = State(CipherSuite::kAes256GcmSha384);
  state.traffic_secret = Secret(traffic_secret);
  Remains<RecordReader> reader;
  ASSERT_TRUE((*reader).Init(std::move(state)));
  ASSERT_TRUE(reader.Hold(traffic_secret));
  const RecordReader other = std::move(*reader);
  EXPECT_FALSE(reader.Hold(traffic_secret));
}

TEST(WipeTest, TheFactsOfAConnectionLeaveNothing) {
  const std::vector<std::uint8_t> exporter = RisingBytes(48, 11);
  Remains<ConnectionFacts> facts;
  (*facts).exporter_secret = Secret(exporter);
  ASSERT_TRUE(facts.Hold(exporter));
  facts.End();
  EXPECT_FALSE(facts.Hold(exporter));
}

}  // namespace
}  // namespace ktlsim::tls::test
