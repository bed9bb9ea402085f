// The engines side by side, how one is chosen, and the cache of expanded keys.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tls/support.h"
#include "tls/record/aead_engine.h"
#include "tls/record/aead_ipsec_mb.h"
#include "tls/record/aead_key_cache.h"
#include "tls/record/record.h"

namespace ktlsim::tls::test {
namespace {

using testing::HasSubstr;

constexpr std::array<std::uint8_t, kAeadNonceBytes> kNonce = {1, 2, 3};
constexpr std::array<std::uint8_t, 5> kAad = {23, 3, 3, 0, 40};

// Seals as EVP does, except for one length: a simulated broken code path.
class LyingAead final : public Aead {
 public:
  explicit LyingAead(std::unique_ptr<Aead> honest) : honest_(std::move(honest)) {}
  bool Seal(std::span<const std::uint8_t, kAeadNonceBytes> nonce, std::span<const std::uint8_t> aad,
            std::span<std::byte> data, std::span<std::byte> tail,
            std::span<std::byte, kAeadTagBytes> tag) override {
    const bool good = honest_->Seal(nonce, aad, data, tail, tag);
    if (data.size() + tail.size() == 769) tag[0] ^= std::byte{1};
    return good;
  }
  bool Open(std::span<const std::uint8_t, kAeadNonceBytes> nonce, std::span<const std::uint8_t> aad,
            std::span<std::byte> data, std::span<const std::byte, kAeadTagBytes> tag) override {
    return honest_->Open(nonce, aad, data, tag);
  }
  bool SetKey(std::span<const std::uint8_t> key) override { return honest_->SetKey(key); }
  void ClearKey() override { honest_->ClearKey(); }

 private:
  std::unique_ptr<Aead> honest_;
};

std::unique_ptr<Aead> CreateLyingAead(AeadId aead, std::span<const std::uint8_t> key) {
  return std::make_unique<LyingAead>(CreateEvpAead(aead, key));
}
std::unique_ptr<Aead> CreateNoAead(AeadId, std::span<const std::uint8_t>) { return nullptr; }

TEST(AeadEngineTest, TheEnginesAgree) {
  for (const Engine& engine : Engines()) {
    EXPECT_EQ(CrossCheck(&CreateEvpAead, engine.factory), nullptr) << engine.name;
  }
}

TEST(AeadEngineTest, OneWrongAnswerIsNoticed) {
  EXPECT_STREQ(CrossCheck(&CreateEvpAead, &CreateLyingAead), "a seal");
  EXPECT_NE(CrossCheck(&CreateLyingAead, &CreateEvpAead), nullptr);
  EXPECT_NE(CrossCheck(&CreateEvpAead, &CreateNoAead), nullptr);
}

TEST(AeadEngineTest, TheEnvironmentForcesAnEngine) {
  const AeadChoice evp = ChooseAead("evp");
  EXPECT_STREQ(evp.engine, "evp");
  EXPECT_EQ(evp.factory, &CreateEvpAead);
  EXPECT_THAT(evp.report, HasSubstr("KTLSIM_AEAD"));
  for (const char* wish : {"ipsec-mb", static_cast<const char*>(nullptr), ""}) {
    const AeadChoice choice = ChooseAead(wish);
    EXPECT_STREQ(choice.engine, ProbeIpsecMb().usable ? "ipsec-mb" : "evp");
    EXPECT_THAT(choice.report, HasSubstr(ProbeIpsecMb().description));
  }
  EXPECT_THAT(ChooseAead("rot13").report,
              HasSubstr(ProbeIpsecMb().usable ? "names no engine" : "EVP"));
}

class AeadTest : public testing::TestWithParam<std::tuple<AeadId, Engine>> {
 protected:
  AeadId id() const { return std::get<0>(GetParam()); }
  std::size_t key_bytes() const { return id() == AeadId::kAes128Gcm ? 16 : 32; }
  std::unique_ptr<Aead> Create(std::uint8_t fill, std::size_t size) const {
    return std::get<1>(GetParam()).factory(id(), std::vector<std::uint8_t>(size, fill));
  }
};

TEST_P(AeadTest, TakesKeysOfItsLengthOnly) {
  for (const std::size_t size : {0U, 15U, 17U, 24U, 31U, 33U, 48U}) {
    EXPECT_EQ(Create(1, size), nullptr) << size;
  }
  const auto aead = Create(1, key_bytes());
  ASSERT_NE(aead, nullptr);
  EXPECT_FALSE(aead->SetKey(std::vector<std::uint8_t>(key_bytes() - 1)));
}

TEST_P(AeadTest, AnotherKeyReplacesTheFirst) {
  const auto aead = Create(1, key_bytes());
  const auto fresh = Create(2, key_bytes());
  ASSERT_TRUE(aead->SetKey(std::vector<std::uint8_t>(key_bytes(), 2)));
  Buffer data(100, std::byte{7});
  std::array<std::byte, kAeadTagBytes> tag;
  ASSERT_TRUE(aead->Seal(kNonce, kAad, data, {}, tag));
  ASSERT_TRUE(fresh->Open(kNonce, kAad, data, tag));
  EXPECT_EQ(data, Buffer(100, std::byte{7}));
}

TEST_P(AeadTest, NeedsNoAlignment) {
  const auto aead = Create(1, key_bytes());
  Buffer memory(200);
  for (std::size_t at = 0; at < 64; ++at) {
    const auto data = std::span(memory).subspan(at, 100);
    const auto tag = std::span(memory).subspan(at + 100).first<kAeadTagBytes>();
    std::ranges::fill(data, std::byte{7});
    ASSERT_TRUE(aead->Seal(kNonce, kAad, data, {}, tag));
    ASSERT_TRUE(aead->Open(kNonce, kAad, data, tag)) << at;
    EXPECT_EQ(data[99], std::byte{7});
  }
}

TEST_P(AeadTest, AnyWrongBitInTheTagRefusesAndWipes) {
  const auto aead = Create(1, key_bytes());
  Buffer sealed(50, std::byte{7});
  std::array<std::byte, kAeadTagBytes> tag;
  ASSERT_TRUE(aead->Seal(kNonce, kAad, sealed, {}, tag));
  for (std::size_t bit = 0; bit < 8 * kAeadTagBytes; ++bit) {
    auto wrong = tag;
    wrong[bit / 8] ^= std::byte(1 << bit % 8);
    Buffer data = sealed;
    EXPECT_FALSE(aead->Open(kNonce, kAad, data, wrong)) << bit;
    EXPECT_EQ(data, Buffer(50)) << bit;
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, AeadTest,
                         testing::Combine(testing::Values(AeadId::kAes128Gcm, AeadId::kAes256Gcm,
                                                          AeadId::kChaCha20Poly1305),
                                          testing::ValuesIn(Engines())));

// ---- The cache

std::array<std::uint8_t, 16> KeyNumber(std::uint64_t number) {
  std::array<std::uint8_t, 16> key{};
  std::memcpy(key.data(), &number, sizeof number);
  return key;
}

class AeadKeyCacheTest : public testing::Test {
 protected:
  Aead* Find(std::uint64_t id) {
    return cache.Find(id, AeadId::kAes128Gcm, ChosenAead().factory, KeyNumber(id));
  }
  AeadKeyCache cache;
};

TEST_F(AeadKeyCacheTest, ExpandsAKeyOnce) {
  Aead* first = Find(1);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(Find(1), first);
  EXPECT_EQ(cache.counts().expansions, 1U);
}

TEST_F(AeadKeyCacheTest, KeepsTheLastThousandAndNoMore) {
  for (std::uint64_t id = 1; id <= AeadKeyCache::kKeysMax; ++id) ASSERT_NE(Find(id), nullptr);
  for (std::uint64_t id = 1; id <= AeadKeyCache::kKeysMax; ++id) ASSERT_NE(Find(id), nullptr);
  EXPECT_EQ(cache.counts().expansions, AeadKeyCache::kKeysMax);
  EXPECT_EQ(cache.counts().evictions, 0U);
  Find(AeadKeyCache::kKeysMax + 1);
  EXPECT_EQ(cache.counts().evictions, 1U);
  Find(1 + AeadKeyCache::kSets);  // in the same set, and used later than the evicted one
  EXPECT_EQ(cache.counts().evictions, 1U);
  Find(1);
  EXPECT_EQ(cache.counts().evictions, 2U);
}

TEST_F(AeadKeyCacheTest, AnEvictedKeyComesBackRight) {
  std::vector<std::pair<Buffer, std::array<std::byte, kAeadTagBytes>>> sealed;
  constexpr std::uint64_t kMany = 3 * AeadKeyCache::kKeysMax;
  for (std::uint64_t id = 1; id <= kMany; ++id) {
    auto& [data, tag] = sealed.emplace_back(Buffer(20, std::byte{9}), std::array<std::byte, 16>{});
    ASSERT_TRUE(Find(id)->Seal(kNonce, kAad, data, {}, tag));
  }
  for (std::uint64_t id = 1; id <= kMany; ++id) {
    auto& [data, tag] = sealed[id - 1];
    ASSERT_TRUE(Find(id)->Open(kNonce, kAad, data, tag)) << id;
  }
}

TEST_F(AeadKeyCacheTest, AForgottenKeyIsGone) {
  Buffer data(20, std::byte{9});
  std::array<std::byte, kAeadTagBytes> tag;
  Aead* aead = Find(1);
  ASSERT_TRUE(aead->Seal(kNonce, kAad, data, {}, tag));
  cache.Forget(1);
  // The object is still there, without the key.
  EXPECT_FALSE(aead->Open(kNonce, kAad, data, tag));
  cache.Forget(1);
  Find(1);
  EXPECT_EQ(cache.counts().expansions, 2U);
  EXPECT_EQ(cache.counts().evictions, 0U);
}

TEST_F(AeadKeyCacheTest, AShortageOfMemoryLeavesNoKeyBehind) {
  EXPECT_EQ(cache.Find(5, AeadId::kAes128Gcm, &CreateNoAead, KeyNumber(5)), nullptr);
  EXPECT_NE(Find(5), nullptr);
}

TEST(AeadKeyIdTest, NoKeyIsNamedTwice) {
  const AeadKeyId first = AeadKeyId::Next();
  AeadKeyId second = AeadKeyId::Next();
  EXPECT_NE(first.value(), second.value());
  const std::uint64_t value = second.value();
  const AeadKeyId third = std::move(second);
  EXPECT_EQ(third.value(), value);
}

// Two threads take turns on one connection whose keys change meanwhile: each finds the right key in
// its own cache.
TEST(AeadKeyCacheThreadsTest, AConnectionMayWander) {
  ProtectionState state;
  state.suite = FindSuite(0x1301);
  state.traffic_secret = Secret(std::vector<std::uint8_t>(32, 1));
  RecordWriter writer;
  RecordReader reader;
  ASSERT_TRUE(writer.Init(state));
  ASSERT_TRUE(reader.Init(state));
  const auto seal_and_open = [&] {
    Buffer record(5 + 30 + 17, std::byte{4});
    const std::span<std::byte> all(record);
    ASSERT_EQ(
        writer
            .Seal(ContentType::kApplicationData, all.first(5), all.subspan(5, 30), all.subspan(35))
            .outcome,
        SealOutcome::kSealed);
    ASSERT_EQ(reader.Open(record).outcome, OpenResult::Outcome::kOpened);
  };
  const auto update = [&] {
    Buffer record(RecordWriter::kControlRecordBytesMax);
    std::size_t used = 0;
    ASSERT_EQ(writer.SealKeyUpdate(false, record, used), SealOutcome::kSealed);
    ASSERT_EQ(reader.Open(std::span(record).first(used)).outcome, OpenResult::Outcome::kOpened);
    ASSERT_TRUE(reader.Rekey());
  };
  for (int round = 0; round < 5; ++round) {
    seal_and_open();
    std::thread([&] { seal_and_open(), update(), seal_and_open(); }).join();
    seal_and_open();
    update();
  }
}

}  // namespace
}  // namespace ktlsim::tls::test
