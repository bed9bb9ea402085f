#include "kernel_sim/digest/sasl_layer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::digest {
namespace {

SaslKeys KeysFor(SaslCipher cipher) {
  Hasher hasher(HashId::kMd5);
  HashValue session;
  SaslKeys keys;
  EXPECT_TRUE(hasher.Hash({"a session"}, &session));
  EXPECT_TRUE(DeriveSaslKeys(hasher, session, cipher, &keys));
  return keys;
}

std::vector<std::uint8_t> Message(std::size_t bytes) {
  std::vector<std::uint8_t> message(bytes);
  for (std::size_t i = 0; i < bytes; ++i) message[i] = static_cast<std::uint8_t>(i * 7 + bytes);
  return message;
}

TEST(SaslKeysTest, DifferByDirectionUseAndCipher) {
  const SaslKeys strong = KeysFor(SaslCipher::kRc4);
  const SaslKeys weak = KeysFor(SaslCipher::kRc4Bits40);
  EXPECT_NE(strong.client_signs.raw(), strong.server_signs.raw());
  EXPECT_NE(strong.client_seals.raw(), strong.server_seals.raw());
  EXPECT_NE(strong.client_signs.raw(), strong.client_seals.raw());
  EXPECT_EQ(strong.client_signs.raw(), weak.client_signs.raw());
  EXPECT_NE(strong.client_seals.raw(), weak.client_seals.raw());
  EXPECT_EQ(strong.client_seals.raw(), KeysFor(SaslCipher::kDes).client_seals.raw());
}

TEST(SaslSignTest, IsVerifiedUnderItsNumberAlone) {
  const SaslKeys keys = KeysFor(SaslCipher::kDes);
  Hasher hasher(HashId::kMd5);
  const std::vector<std::uint8_t> message = Message(100);
  std::array<std::uint8_t, kSaslSignatureBytes> signature{};
  ASSERT_TRUE(SaslSign(hasher, keys.client_signs, 0x01020304, message, signature));
  EXPECT_EQ(std::vector(signature.begin() + 10, signature.end()),
            (std::vector<std::uint8_t>{0, 1, 1, 2, 3, 4}));
  const auto verdict = [&](const HashValue& key, std::uint32_t sequence) {
    return SaslVerify(hasher, key, sequence, message, signature);
  };
  EXPECT_EQ(verdict(keys.client_signs, 0x01020304), SaslVerdict::kGood);
  EXPECT_EQ(verdict(keys.client_signs, 0x01020305), SaslVerdict::kOutOfSequence);
  EXPECT_EQ(verdict(keys.server_signs, 0x01020304), SaslVerdict::kAltered) << "reflected";
  for (std::size_t at = 0; at < signature.size(); ++at) {
    signature[at] ^= 1;
    EXPECT_EQ(verdict(keys.client_signs, 0x01020304), SaslVerdict::kAltered) << at;
    signature[at] ^= 1;
  }
  EXPECT_EQ(SaslVerify(hasher, keys.client_signs, 0x01020304, Bytes(message).first(99), signature),
            SaslVerdict::kAltered);
  EXPECT_EQ(SaslVerify(hasher, keys.client_signs, 0x01020304, message, Bytes(signature).first(15)),
            SaslVerdict::kAltered);
}

class SaslSealTest : public testing::TestWithParam<SaslCipher> {
 protected:
  void SetUp() override {
    if (!AvailableSaslCiphers().Has(GetParam())) GTEST_SKIP() << "OpenSSL has no such cipher";
    sealer_ = SaslSealer::Create(GetParam(), keys_.client_signs, keys_.client_seals);
    opener_ = SaslOpener::Create(GetParam(), keys_.client_signs, keys_.client_seals);
    ASSERT_NE(sealer_, nullptr);
    ASSERT_NE(opener_, nullptr);
  }

  std::vector<std::uint8_t> Sealed(const std::vector<std::uint8_t>& message) {
    std::vector<std::uint8_t> buffer = message;
    buffer.resize(sealer_->SealedBytes(message.size()));
    EXPECT_TRUE(sealer_->Seal(buffer, message.size()));
    return buffer;
  }
  SaslVerdict Open(std::vector<std::uint8_t> sealed) {
    std::size_t bytes = 0;
    return opener_->Open(sealed, &bytes);
  }

  const SaslKeys keys_ = KeysFor(GetParam());
  std::unique_ptr<SaslSealer> sealer_;
  std::unique_ptr<SaslOpener> opener_;
};

TEST_P(SaslSealTest, MessagesOfEveryLengthAreOpenedInOrder) {
  for (std::size_t bytes = 0; bytes < 70; ++bytes) {
    const std::vector<std::uint8_t> message = Message(bytes);
    std::vector<std::uint8_t> sealed = Sealed(message);
    const std::size_t over = sealed.size() - bytes;
    EXPECT_GE(over, kSaslSignatureBytes);
    EXPECT_LE(over, kSaslSignatureBytes + (BlockBytesOf(GetParam()) == 1 ? 0U : 8U));
    std::size_t opened = 0;
    ASSERT_EQ(opener_->Open(sealed, &opened), SaslVerdict::kGood) << bytes;
    sealed.resize(opened);
    EXPECT_EQ(sealed, message);
  }
}

TEST_P(SaslSealTest, EachBitCounts) {
  const std::vector<std::uint8_t> sealed = Sealed(Message(20));
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      opener_ = SaslOpener::Create(GetParam(), keys_.client_signs, keys_.client_seals);
      std::vector<std::uint8_t> other = sealed;
      other[at] = static_cast<std::uint8_t>(other[at] ^ (1U << bit));
      const bool number = at + 4 >= sealed.size();
      EXPECT_EQ(Open(other), number ? SaslVerdict::kOutOfSequence : SaslVerdict::kAltered) << at;
      EXPECT_EQ(Open(sealed), number ? SaslVerdict::kGood : SaslVerdict::kAltered)
          << "what was altered ends it";
    }
  }
  for (std::size_t bytes = 0; bytes < sealed.size(); ++bytes) {
    opener_ = SaslOpener::Create(GetParam(), keys_.client_signs, keys_.client_seals);
    EXPECT_NE(Open({sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(bytes)}),
              SaslVerdict::kGood);
  }
}

TEST_P(SaslSealTest, AReplayIsOutOfSequence) {
  const std::vector<std::uint8_t> first = Sealed(Message(3));
  const std::vector<std::uint8_t> second = Sealed(Message(3));
  EXPECT_EQ(Open(second), SaslVerdict::kOutOfSequence);
  EXPECT_EQ(Open(first), SaslVerdict::kGood);
  EXPECT_EQ(Open(first), SaslVerdict::kOutOfSequence);
  EXPECT_EQ(Open(second), SaslVerdict::kGood);
}

TEST_P(SaslSealTest, WithoutRoomNothingIsSealed) {
  std::vector<std::uint8_t> buffer(sealer_->SealedBytes(5) - 1);
  EXPECT_FALSE(sealer_->Seal(buffer, 5));
  EXPECT_EQ(Open(Sealed(Message(5))), SaslVerdict::kGood) << "and no number is used up";
}

INSTANTIATE_TEST_SUITE_P(Ciphers, SaslSealTest, testing::ValuesIn(kSaslCiphers),
                         [](const testing::TestParamInfo<SaslCipher>& cipher) {
                           std::string name(NameOf(cipher.param));
                           std::erase(name, '-');
                           return name;
                         });

TEST(SaslCiphersTest, TripleDesIsAlwaysThere) {
  EXPECT_TRUE(AvailableSaslCiphers().Has(SaslCipher::k3Des));
  EXPECT_TRUE(AvailableSaslCiphers().Has(SaslCipher::kDes));
}

}  // namespace
}  // namespace ktlsim::digest
