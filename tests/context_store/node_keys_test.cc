#include "kernel_sim/context_store/node_keys.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include "tests/context_store/store_test_support.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::context_store {
namespace {

using KeysPtr = std::shared_ptr<const NodeKeys>;

const std::string& SecretA() {
  static const auto* const secret = new std::string(32, 'a');
  return *secret;
}
const std::string& SecretB() {
  static const auto* const secret = new std::string(48, 'b');
  return *secret;
}
KeysPtr Keys(std::string_view current, std::string_view previous = "") {
  return NodeKeys::Create(Bytes(current), Bytes(previous)).value();
}

std::string Hmac(const std::string& key, const std::string& content) {
  std::string mac(32, '\0');
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(content.data()), content.size(),
       reinterpret_cast<unsigned char*>(mac.data()), &size);
  return mac;
}

// RFC 5869 2: without a salt, for one block.
std::string Hkdf(const std::string& secret, const std::string& label) {
  return Hmac(Hmac(std::string(32, '\0'), secret), label + '\x01');
}

TEST(NodeKeysTest, SubkeysAreHkdfByLabel) {
  const KeysPtr keys = Keys(SecretA());
  NodeKeys::Index index;
  ASSERT_TRUE(keys->IndexOf(Named("name", Kind::kTlsSession), 0, &index));
  EXPECT_EQ(Text(index), Hmac(Hkdf(SecretA(), "ktlsim index"), std::string("\x01name")));
  NodeKeys::Mac mac;
  ASSERT_TRUE(keys->MacOfNonce(Bytes("nonce"), &mac));
  EXPECT_EQ(Text(mac), Hmac(Hkdf(SecretA(), "ktlsim nonce"), "nonce"));
}

TEST(NodeKeysTest, TheIndexDependsOnKeyKindAndName) {
  std::set<std::string> seen;
  for (const std::string& secret : {SecretA(), SecretB()}) {
    const KeysPtr keys = Keys(secret);
    for (const Kind kind : {Kind::kDigestContext, Kind::kTlsSession, Kind::kTicketKeys}) {
      for (const char* const name : {"a", "b", "ab"}) {
        NodeKeys::Index index;
        ASSERT_TRUE(keys->IndexOf(Named(name, kind), 0, &index));
        EXPECT_TRUE(seen.insert(Text(index)).second);
      }
    }
  }
}

TEST(NodeKeysTest, WhatIsSealedOpensOnAnotherMachine) {
  for (const std::string& value : {std::string(), std::string("x"), std::string(5000, 's')}) {
    std::vector<std::byte> sealed;
    std::vector<std::byte> opened;
    ASSERT_TRUE(Keys(SecretA())->Seal(Named("n"), 7, Bytes(value), &sealed));
    EXPECT_EQ(sealed.size(), value.size() + NodeKeys::kSealBytes);
    EXPECT_EQ(Text(sealed).find("ssss"), std::string::npos);
    ASSERT_TRUE(Keys(SecretA())->Open(Named("n"), 7, sealed, &opened));
    EXPECT_EQ(Text(opened), value);
  }
}

TEST(NodeKeysTest, NoSealIsMadeTwice) {
  const KeysPtr keys = Keys(SecretA());
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    std::vector<std::byte> sealed;
    ASSERT_TRUE(keys->Seal(Named("n"), 7, Bytes("value"), &sealed));
    EXPECT_TRUE(seen.insert(Text(sealed)).second);
  }
}

TEST(NodeKeysTest, AnAlteredValueDoesNotOpen) {
  const KeysPtr keys = Keys(SecretA());
  std::vector<std::byte> sealed;
  std::vector<std::byte> opened;
  ASSERT_TRUE(keys->Seal(Named("n"), 7, Bytes("value"), &sealed));
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> altered = sealed;
      altered[at] ^= std::byte(1 << bit);
      EXPECT_FALSE(keys->Open(Named("n"), 7, altered, &opened)) << at << " " << bit;
      EXPECT_TRUE(opened.empty());
    }
    EXPECT_FALSE(keys->Open(Named("n"), 7, std::span(sealed).first(at), &opened)) << at;
  }
}

// An attacker that can write to the store cannot move a value.
TEST(NodeKeysTest, AMovedValueDoesNotOpen) {
  const KeysPtr keys = Keys(SecretA());
  std::vector<std::byte> sealed;
  std::vector<std::byte> opened;
  ASSERT_TRUE(keys->Seal(Named("n"), 7, Bytes("value"), &sealed));
  EXPECT_FALSE(keys->Open(Named("m"), 7, sealed, &opened)) << "another name";
  EXPECT_FALSE(keys->Open(Named("n", Kind::kTlsSession), 7, sealed, &opened)) << "another kind";
  EXPECT_FALSE(keys->Open(Named("n"), 8, sealed, &opened)) << "another epoch";
  EXPECT_FALSE(Keys(SecretB())->Open(Named("n"), 7, sealed, &opened)) << "another node key";
  EXPECT_TRUE(keys->Open(Named("n"), 7, sealed, &opened));
}

// The order in which machines replace the key.
TEST(NodeKeysTest, TwoKeysAtOnceForRotation) {
  const KeysPtr before = Keys(SecretA());
  const KeysPtr prepared = Keys(SecretA(), SecretB());
  const KeysPtr changed = Keys(SecretB(), SecretA());
  const KeysPtr after = Keys(SecretB());
  EXPECT_EQ(after->size(), 1U);
  ASSERT_EQ(changed->size(), 2U);
  std::vector<std::byte> old_seal;
  std::vector<std::byte> new_seal;
  std::vector<std::byte> opened;
  ASSERT_TRUE(prepared->Seal(Named("n"), 7, Bytes("value"), &old_seal));
  ASSERT_TRUE(changed->Seal(Named("n"), 7, Bytes("value"), &new_seal));
  EXPECT_TRUE(before->Open(Named("n"), 7, old_seal, &opened));
  EXPECT_TRUE(prepared->Open(Named("n"), 7, new_seal, &opened));
  EXPECT_TRUE(changed->Open(Named("n"), 7, old_seal, &opened));
  EXPECT_TRUE(after->Open(Named("n"), 7, new_seal, &opened));
  EXPECT_FALSE(before->Open(Named("n"), 7, new_seal, &opened));
  EXPECT_FALSE(after->Open(Named("n"), 7, old_seal, &opened));
  NodeKeys::Index old_index;
  NodeKeys::Index previous_index;
  ASSERT_TRUE(before->IndexOf(Named("n"), 0, &old_index));
  ASSERT_TRUE(changed->IndexOf(Named("n"), 1, &previous_index));
  EXPECT_EQ(old_index, previous_index);
  NodeKeys::Mac mac;
  ASSERT_TRUE(before->MacOfNonce(Bytes("nonce"), &mac));
  EXPECT_TRUE(changed->VerifyNonce(Bytes("nonce"), mac));
  EXPECT_FALSE(after->VerifyNonce(Bytes("nonce"), mac));
}

TEST(NodeKeysTest, ANonceIsOursOrNot) {
  const KeysPtr keys = Keys(SecretA());
  NodeKeys::Mac mac;
  ASSERT_TRUE(keys->MacOfNonce(Bytes("nonce"), &mac));
  EXPECT_TRUE(keys->VerifyNonce(Bytes("nonce"), mac));
  EXPECT_TRUE(keys->VerifyNonce(Bytes("nonce"), std::span(mac).first(16))) << "cut, as in a nonce";
  EXPECT_FALSE(keys->VerifyNonce(Bytes("nonce"), std::span(mac).first(15)));
  EXPECT_FALSE(keys->VerifyNonce(Bytes("nonce"), {}));
  EXPECT_FALSE(keys->VerifyNonce(Bytes("nonces"), mac));
  for (std::byte& byte : mac) {
    byte ^= std::byte{1};
    EXPECT_FALSE(keys->VerifyNonce(Bytes("nonce"), mac));
    byte ^= std::byte{1};
  }
}

class NodeKeyFileTest : public ::testing::Test {
 protected:
  std::string File(const std::string& name, const std::string& content) const {
    return temporary_.Write(name, content);
  }
  const test::TemporaryFolder temporary_;
  const std::filesystem::path folder = temporary_.path();
};

TEST_F(NodeKeyFileTest, AllBytesOfTheFileAreTheKey) {
  const std::string secret = std::string("\0\n\xff", 3) + std::string(30, 'k') + "\n";
  const std::string path = File("key", secret);
  Result<KeysPtr> keys = NodeKeys::Load(path.c_str(), nullptr);
  ASSERT_TRUE(keys.ok()) << keys.status().ToString();
  NodeKeys::Index from_file;
  NodeKeys::Index from_bytes;
  ASSERT_TRUE((*keys)->IndexOf(Named("n"), 0, &from_file));
  ASSERT_TRUE(Keys(secret)->IndexOf(Named("n"), 0, &from_bytes));
  EXPECT_EQ(from_file, from_bytes);
  EXPECT_EQ(NodeKeys::Load(path.c_str(), File("other", SecretB()).c_str()).value()->size(), 2U);
}

TEST_F(NodeKeyFileTest, BadFilesAreRefusedInWords) {
  const std::string good = File("good", SecretA());
  const std::string same = File("same", SecretA());
  const std::string brief = File("brief", std::string(31, 'x'));
  const std::string empty = File("empty", "");
  const std::string large = File("large", std::string(4097, 'x'));
  const std::string missing = folder / "missing";
  const auto category = [](const std::string& current, const char* previous) {
    return NodeKeys::Load(current.c_str(), previous).status().category();
  };
  EXPECT_EQ(category(brief, nullptr), Category::kContract);
  EXPECT_EQ(category(empty, nullptr), Category::kContract);
  EXPECT_EQ(category(large, nullptr), Category::kContract);
  EXPECT_EQ(category(folder, nullptr), Category::kContract);
  EXPECT_EQ(category(good, same.c_str()), Category::kContract);
  EXPECT_EQ(category(good, brief.c_str()), Category::kContract);
  EXPECT_EQ(category(good, empty.c_str()), Category::kContract);
  EXPECT_EQ(NodeKeys::Load(missing.c_str(), nullptr).status().code(), ENOENT);
  EXPECT_EQ(NodeKeys::Load(good.c_str(), missing.c_str()).status().code(), ENOENT);
  EXPECT_NE(NodeKeys::Load(brief.c_str(), nullptr).status().ToString().find("/dev/urandom"),
            std::string::npos);
}

}  // namespace
}  // namespace ktlsim::context_store
