#include "kernel_sim/accounts/password_hash.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ktlsim::accounts {
namespace {

PasswordMatch VerifyText(const std::string& text, std::string_view password) {
  PasswordHash hash;
  EXPECT_EQ(PasswordHash::Parse(text, &hash), nullptr) << text;
  EXPECT_EQ(hash.Text(), text);
  return hash.Verify(SecretText(password));
}

// From test.c of the reference implementation, "Argon2id 13".
TEST(PasswordHashTest, VerifiesTheReferenceVectors) {
  for (const char* text :
       {"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"}) {
    EXPECT_EQ(VerifyText(text, "password"), PasswordMatch::kRight);
    EXPECT_EQ(VerifyText(text, "Password"), PasswordMatch::kWrong);
    EXPECT_EQ(VerifyText(text, ""), PasswordMatch::kWrong);
  }
}

TEST(PasswordHashTest, WhatIsMadeIsVerified) {
  const std::array<std::uint8_t, 16> salt = {0xFF, 0x80, 1};
  PasswordHash made;
  ASSERT_TRUE(PasswordHash::Make(SecretText("pass\xC3\xA4wort"),
                                 {.memory_kib = 32, .passes = 2, .lanes = 3}, salt, &made));
  EXPECT_TRUE(made.Text().starts_with("$argon2id$v=19$m=32,t=2,p=3$/4AB")) << made.Text();
  EXPECT_EQ(VerifyText(made.Text(), "pass\xC3\xA4wort"), PasswordMatch::kRight);
  EXPECT_EQ(VerifyText(made.Text(), "passwort"), PasswordMatch::kWrong);
}

TEST(PasswordHashTest, RefusesWhatItCannotBeOrMayNotCost) {
  const std::string salt = "c29tZXNhbHQ";
  const std::string tag = "bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";
  const std::string end = "$" + salt + "$" + tag;
  const std::string good = "$argon2id$v=19$m=256,t=2,p=1";
  const auto text = [&](const char* cost) { return "$argon2id$v=19$" + (cost + end); };
  const std::string changed_tag = tag.substr(0, tag.size() - 1) + "d";
  for (const std::string& refused :
       {std::string(), std::string("password"), std::string("$argon2id$v=19$"),
        "$argon2i$v=19$m=256,t=2,p=1" + end, "$argon2id$v=16$m=256,t=2,p=1" + end,
        "$argon2id$m=256,t=2,p=1" + end, text("m=256,t=2"), text("t=2,m=256,p=1"),
        text("m=256,t=2,p=1,keyid=AA"), text("m=,t=2,p=1"), text("m=+256,t=2,p=1"),
        text("m=0256,t=2,p=1"), text("m=256,t=0,p=1"), text("m=256,t=2,p=0"),
        text("m=4294967296,t=2,p=1"),
        // The bounds, one beyond.
        text("m=262145,t=2,p=1"), text("m=7,t=2,p=1"), text("m=15,t=2,p=2"), text("m=256,t=17,p=1"),
        text("m=256,t=2,p=17"),
        // Base64: padding, a line end, bits left over, too short, too long.
        text("m=256,t=2,p=1") + "=", text("m=256,t=2,p=1") + "\n", text("m=256,t=2,p=1") + "$",
        fmt::format("{}${}${}", good, salt, changed_tag),
        fmt::format("{}$c29tZXNhbH${}", good, tag),
        fmt::format("{}${}$bQk8UB/VmZZF4Oo79iD", good, salt),
        fmt::format("{}${}${}", good, salt, std::string(88, 'A')),
        fmt::format("{}${}${}", good, std::string(88, 'A'), tag)}) {
    PasswordHash hash;
    EXPECT_NE(PasswordHash::Parse(refused, &hash), nullptr) << refused;
    EXPECT_EQ(hash.Text(), PasswordHash().Text());
  }
  for (const std::string& accepted :
       {text("m=262144,t=16,p=16"), text("m=8,t=1,p=1"), text("m=256,t=2,p=1")}) {
    PasswordHash hash;
    EXPECT_EQ(PasswordHash::Parse(accepted, &hash), nullptr) << accepted;
  }
}

TEST(SecretTextTest, IsWipedAndMovedNotCopied) {
  SecretText secret("password");
  char* const at = secret.bytes().data();
  SecretText other(std::move(secret));
  EXPECT_EQ(other.view(), "password");
  EXPECT_EQ(other.view().data(), at);
  other.Wipe();
  EXPECT_EQ(std::string_view(at, 8), std::string_view("\0\0\0\0\0\0\0\0", 8));
  EXPECT_TRUE(other.view().empty());
}

}  // namespace
}  // namespace ktlsim::accounts
