#include "kernel_sim/digest/nonce.h"

#include <array>
#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace ktlsim::digest {
namespace {

constexpr std::uint64_t kNow = 1'700'000'000'000;
constexpr std::uint64_t kLife = kUnansweredMsDefault;

constexpr NonceStamp kStamp = {.epoch = 0xfedcba9876543210, .number = 0x80000003};

using Key = std::array<std::uint8_t, kNonceKeyBytes>;

Key KeyOf(std::uint8_t fill) {
  Key key{};
  key.fill(fill);
  return key;
}

NonceMint::Identity Node(std::uint32_t node, std::string_view server = "server",
                         std::string_view realm = "realm") {
  return {.server = server, .realm = realm, .node = node};
}

std::string Minted(const NonceMint& mint, std::uint64_t now_ms = kNow,
                   const Opaque& opaque = Opaque()) {
  NonceText nonce;
  EXPECT_TRUE(mint.Mint(now_ms, kStamp, opaque, &nonce));
  return std::string(nonce.view());
}

TEST(NonceTest, SaysWhenAndWhereItWasMade) {
  const NonceMint mint(Node(0x80000001), KeyOf(1));
  const std::string nonce = Minted(mint);
  EXPECT_EQ(nonce.size(), kNonceCharacters);
  EXPECT_EQ(
      nonce.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
      std::string::npos);
  const NonceJudgement judgement = mint.Judge(nonce, kNow, kLife);
  EXPECT_EQ(judgement.kind, NonceKind::kGood);
  EXPECT_EQ(judgement.node, 0x80000001U);
  EXPECT_EQ(judgement.made_ms, kNow);
  EXPECT_EQ(judgement.stamp, kStamp);
}

TEST(NonceTest, EachDiffers) {
  const NonceMint mint(Node(1), KeyOf(1));
  std::set<std::string> nonces;
  for (int i = 0; i < 1000; ++i) nonces.insert(Minted(mint));
  EXPECT_EQ(nonces.size(), 1000U);
}

TEST(NonceTest, ItsLifeEnds) {
  const NonceMint mint(Node(1), KeyOf(1));
  const std::string nonce = Minted(mint);
  EXPECT_EQ(mint.Judge(nonce, kNow + kLife, kLife).kind, NonceKind::kGood);
  EXPECT_EQ(mint.Judge(nonce, kNow + kLife + 1, kLife).kind, NonceKind::kExpired);
  EXPECT_EQ(mint.Judge(nonce, kNow + kLife + 1, kEstablishedMsDefault).kind, NonceKind::kGood)
      << "an established context has another life";
  EXPECT_EQ(mint.Judge(nonce, kNow - kClockSkewMs, kLife).kind, NonceKind::kGood);
  EXPECT_EQ(mint.Judge(nonce, kNow - kClockSkewMs - 1, kLife).kind, NonceKind::kExpired);
}

TEST(NonceTest, AnotherNodeOfTheServerJudgesItToo) {
  const NonceMint here(Node(1), KeyOf(1));
  const NonceMint there(Node(2), KeyOf(1));
  const NonceJudgement judgement = here.Judge(Minted(there), kNow, kLife);
  EXPECT_EQ(judgement.kind, NonceKind::kGood);
  EXPECT_EQ(judgement.node, 2U);
}

TEST(NonceTest, OfAnotherServerRealmOrKeyItIsForeign) {
  const NonceMint mint(Node(1), KeyOf(1));
  EXPECT_EQ(mint.Judge(Minted(NonceMint(Node(1, "other"), KeyOf(1))), kNow, kLife).kind,
            NonceKind::kForeign);
  EXPECT_EQ(mint.Judge(Minted(NonceMint(Node(1, "server", "other"), KeyOf(1))), kNow, kLife).kind,
            NonceKind::kForeign);
  EXPECT_EQ(mint.Judge(Minted(NonceMint(Node(1, "serverr", "ealm"), KeyOf(1))), kNow, kLife).kind,
            NonceKind::kForeign)
      << "the border between the two counts";
  EXPECT_EQ(mint.Judge(Minted(NonceMint(Node(1), KeyOf(2))), kNow, kLife).kind,
            NonceKind::kForeign);
}

TEST(NonceTest, ThePreviousKeyStillJudges) {
  const std::string before = Minted(NonceMint(Node(1), KeyOf(1)));
  const NonceMint rotated(Node(1), KeyOf(2), KeyOf(1));
  EXPECT_EQ(rotated.Judge(before, kNow, kLife).kind, NonceKind::kGood);
  EXPECT_EQ(NonceMint(Node(1), KeyOf(2)).Judge(Minted(rotated), kNow, kLife).kind, NonceKind::kGood)
      << "new ones are under the new key";
}

TEST(NonceTest, BelongsToOneOpaqueValue) {
  const Opaque opaque = Opaque::Draw().value();
  const NonceMint mint(Node(1), KeyOf(1));
  const std::string nonce = Minted(mint, kNow, opaque);
  EXPECT_EQ(mint.BelongsTo(nonce, opaque), true);
  EXPECT_EQ(NonceMint(Node(2), KeyOf(1)).BelongsTo(nonce, opaque), true) << "on every node";
  EXPECT_EQ(NonceMint(Node(1), KeyOf(2), KeyOf(1)).BelongsTo(nonce, opaque), true) << "the old key";
  EXPECT_EQ(mint.BelongsTo(nonce, Opaque()), false);
  EXPECT_EQ(mint.BelongsTo(nonce, Opaque::Draw().value()), false);
  EXPECT_EQ(NonceMint(Node(1), KeyOf(2)).BelongsTo(nonce, opaque), false);
  EXPECT_EQ(NonceMint(Node(1, "other"), KeyOf(1)).BelongsTo(nonce, opaque), false);
  EXPECT_EQ(mint.BelongsTo("", opaque), false);
  std::string altered = nonce;
  altered[60] = altered[60] == 'A' ? 'B' : 'A';  // in its code of the opaque value
  EXPECT_EQ(mint.BelongsTo(altered, opaque), false);
}

TEST(NonceTest, OneCharacterAltersIt) {
  const NonceMint mint(Node(1), KeyOf(1));
  const std::string nonce = Minted(mint);
  for (std::size_t at = 0; at < nonce.size(); ++at) {
    for (const char c : {'A', 'z', '-', '=', '+', '\0', '\xff'}) {
      std::string other = nonce;
      other[at] = c;
      if (other == nonce) continue;
      EXPECT_EQ(mint.Judge(other, kNow, kLife).kind, NonceKind::kForeign) << at;
    }
    EXPECT_EQ(mint.Judge(nonce.substr(0, at), kNow, kLife).kind, NonceKind::kForeign);
  }
  EXPECT_EQ(mint.Judge(nonce + "A", kNow, kLife).kind, NonceKind::kForeign);
}

TEST(OpaqueTest, IsReadBack) {
  const std::optional<Opaque> drawn = Opaque::Draw();
  ASSERT_TRUE(drawn.has_value());
  const auto text = drawn->text();
  const std::optional<Opaque> read = Opaque::Parse({text.data(), text.size()});
  ASSERT_TRUE(read.has_value());
  EXPECT_TRUE(*read == *drawn);
  EXPECT_EQ(read->bytes().size(), 16U);
  EXPECT_FALSE(*Opaque::Draw() == *drawn);
  EXPECT_FALSE(Opaque::Parse({text.data(), text.size() - 1}).has_value());
  EXPECT_FALSE(Opaque::Parse("x").has_value());
}

}  // namespace
}  // namespace ktlsim::digest
