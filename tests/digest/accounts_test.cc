#include "kernel_sim/digest/accounts.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "kernel_sim/digest/account_file.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::digest {
namespace {

constexpr std::string_view kRealm = "realm";
constexpr NonceFacts kNonce = {.nonce = "n", .nc = "00000001", .cnonce = "c", .qop = Qop::kAuth};
constexpr RequestFacts kRequest = {.method = "GET", .uri = "/", .entity_hash = {}};

HashValue HashFor(HashId id, std::string_view user, std::string_view password) {
  Hasher hasher(id);
  HashValue hash;
  EXPECT_TRUE(ComputeAccountHash(hasher, user, kRealm, password, &hash));
  return hash;
}

AccountFile FileOf(std::initializer_list<std::string_view> users) {
  AccountFile file;
  for (const std::string_view user : users) {
    for (const HashId id : {HashId::kMd5, HashId::kSha256, HashId::kSha512256}) {
      EXPECT_TRUE(file.Set(
          {.hash_id = id, .user = user, .realm = kRealm, .hash = HashFor(id, user, "secret")}));
    }
  }
  return file;
}

struct Outcome {
  AttemptVerdict verdict = AttemptVerdict::kNoMemory;
  bool has_session = false;
  Operations operations;
};

// What comes of a response that `user` made with `password`.
Outcome Try(const Accounts& accounts, Algorithm algorithm, std::string_view user,
            std::string_view password, bool hashed = false, bool sasl = false) {
  const HashId id = HashOf(algorithm);
  Hasher hasher(id);
  HashValue session;
  HashValue response;
  HashValue name_hash;
  const HashValue account = HashFor(id, user, password);
  EXPECT_TRUE(sasl ? ComputeSaslSessionHash(hasher, account, "n", "c", "", &session)
                   : ComputeSessionHash(hasher, algorithm, account, "n", "c", &session));
  EXPECT_TRUE(ComputeResponse(hasher, session, kNonce, kRequest, &response));
  EXPECT_TRUE(ComputeUserHash(hasher, user, kRealm, &name_hash));
  const HexText digits(name_hash);
  const Attempt attempt = {.algorithm = algorithm,
                           .name = {.hash_id = id,
                                    .username = hashed ? digits.view() : user,
                                    .username_hashed = hashed,
                                    .realm = kRealm},
                           .nonce = kNonce,
                           .request = kRequest,
                           .response = &response,
                           .sasl = sasl,
                           .authzid = {}};
  Outcome outcome;
  HashValue agreed;
  outcome.verdict = VerifyAttempt(accounts, attempt, &agreed, &outcome.operations);
  outcome.has_session = !agreed.empty();
  if (outcome.has_session) {
    EXPECT_EQ(agreed.raw(), session.raw());
  }
  return outcome;
}

TEST(AccountsTest, TheRightPasswordOfEachAlgorithm) {
  const auto accounts = Accounts::Build(FileOf({"alice", "bob"}), false);
  ASSERT_NE(accounts, nullptr);
  EXPECT_EQ(accounts->size(), 6U);
  for (const Algorithm algorithm : kAlgorithms) {
    const Outcome right = Try(*accounts, algorithm, "alice", "secret");
    EXPECT_EQ(right.verdict, AttemptVerdict::kRight) << NameOf(algorithm);
    EXPECT_TRUE(right.has_session);
    const Outcome wrong = Try(*accounts, algorithm, "alice", "Secret");
    EXPECT_EQ(wrong.verdict, AttemptVerdict::kWrong);
    EXPECT_FALSE(wrong.has_session);
    EXPECT_EQ(Try(*accounts, algorithm, "carol", "secret").verdict, AttemptVerdict::kWrong);
  }
  EXPECT_EQ(Try(*accounts, Algorithm::kMd5Sess, "bob", "secret", false, true).verdict,
            AttemptVerdict::kRight)
      << "SASL";
}

// The look-ups, the steps of a look-up, the hashes and the compares.
TEST(AccountsTest, AnUnknownUserIsAsMuchWorkAsAWrongPassword) {
  for (const bool hashed_names : {false, true}) {
    const auto accounts =
        Accounts::Build(FileOf({"alice", "bob", "carol", "dave", "erin"}), hashed_names);
    ASSERT_NE(accounts, nullptr);
    for (const Algorithm algorithm : kAlgorithms) {
      for (const bool hashed : {false, true}) {
        const Outcome right = Try(*accounts, algorithm, "alice", "secret", hashed);
        const Outcome wrong = Try(*accounts, algorithm, "alice", "Secret", hashed);
        const Outcome unknown = Try(*accounts, algorithm, "mallory", "secret", hashed);
        EXPECT_EQ(wrong.operations, right.operations);
        EXPECT_EQ(unknown.operations, right.operations) << NameOf(algorithm);
        EXPECT_EQ(unknown.operations.look_ups, 1U);
        EXPECT_EQ(unknown.operations.compares, 1U);
        EXPECT_GE(unknown.operations.hashes, 3U);
        EXPECT_GE(unknown.operations.steps, 4U);
        EXPECT_EQ(unknown.verdict, AttemptVerdict::kWrong);
      }
    }
  }
}

TEST(AccountsTest, HashedNamesAreFoundWhenTheyAreOffered) {
  const auto with = Accounts::Build(FileOf({"J\xc3\xa4s\xc3\xb8n Doe"}), true);
  const auto without = Accounts::Build(FileOf({"J\xc3\xa4s\xc3\xb8n Doe"}), false);
  ASSERT_TRUE(with != nullptr && without != nullptr);
  for (const Algorithm algorithm : kAlgorithms) {
    constexpr std::string_view kName = "J\xc3\xa4s\xc3\xb8n Doe";
    EXPECT_EQ(Try(*with, algorithm, kName, "secret", true).verdict, AttemptVerdict::kRight);
    EXPECT_EQ(Try(*with, algorithm, kName, "secret", false).verdict, AttemptVerdict::kRight);
    EXPECT_EQ(Try(*without, algorithm, kName, "secret", true).verdict, AttemptVerdict::kWrong);
  }
}

TEST(AccountsTest, ANameThatIsNoHashNamesNobody) {
  const auto accounts = Accounts::Build(FileOf({"alice"}), true);
  ASSERT_NE(accounts, nullptr);
  HashValue hash;
  Operations operations;
  const std::optional<bool> found = accounts->Find(
      {.hash_id = HashId::kMd5, .username = "alice", .username_hashed = true, .realm = kRealm},
      &hash, &operations);
  EXPECT_EQ(found, false);
  EXPECT_EQ(hash.bytes().size(), 16U);
}

TEST(AccountsTest, RealmAndAlgorithmBelongToTheName) {
  AccountFile file;
  ASSERT_TRUE(file.Set({.hash_id = HashId::kMd5,
                        .user = "alice",
                        .realm = kRealm,
                        .hash = HashFor(HashId::kMd5, "alice", "secret")}));
  const auto accounts = Accounts::Build(file, false);
  ASSERT_NE(accounts, nullptr);
  const auto found = [&](const AccountName& name) {
    HashValue hash;
    Operations operations;
    return accounts->Find(name, &hash, &operations);
  };
  AccountName name = {
      .hash_id = HashId::kMd5, .username = "alice", .username_hashed = false, .realm = kRealm};
  EXPECT_EQ(found(name), true);
  name.realm = "real";
  name.username = "malice";
  EXPECT_EQ(found(name), false) << "the border between the two counts";
  name = {
      .hash_id = HashId::kSha256, .username = "alice", .username_hashed = false, .realm = kRealm};
  EXPECT_EQ(found(name), false);
}

TEST(AccountsTest, NobodyIsInAnEmptyFile) {
  const auto accounts = Accounts::Build(AccountFile(), true);
  ASSERT_NE(accounts, nullptr);
  EXPECT_EQ(accounts->size(), 0U);
  EXPECT_EQ(Try(*accounts, Algorithm::kMd5, "alice", "secret").verdict, AttemptVerdict::kWrong);
}

TEST(AccountsTest, AllOfManyAreFound) {
  AccountFile file;
  const HashValue hash = HashFor(HashId::kMd5, "x", "y");
  std::string text;
  for (int i = 0; i < 3000; ++i) {
    text += "user" + std::to_string(i) + ":realm:" + std::string(HexText(hash).view()) + "\n";
  }
  AccountFault fault;
  ASSERT_TRUE(file.Parse(text, &fault));
  const auto accounts = Accounts::Build(file, false);
  ASSERT_NE(accounts, nullptr);
  for (int i = 0; i < 3100; ++i) {
    const std::string user = "user" + std::to_string(i);
    HashValue found;
    Operations operations;
    EXPECT_EQ(
        accounts->Find(
            {.hash_id = HashId::kMd5, .username = user, .username_hashed = false, .realm = kRealm},
            &found, &operations),
        i < 3000);
    EXPECT_EQ(operations.steps, 12U);
  }
}

TEST(AccountsTest, FurtherRequestsNeedNoAccount) {
  Hasher hasher(HashId::kMd5);
  const HashValue session = HashFor(HashId::kMd5, "alice", "secret");
  HashValue response;
  ASSERT_TRUE(ComputeResponse(hasher, session, kNonce, kRequest, &response));
  EXPECT_EQ(VerifyRequest(session, kNonce, kRequest, response, hasher), AttemptVerdict::kRight);
  RequestFacts other = kRequest;
  other.method = "POST";
  EXPECT_EQ(VerifyRequest(session, kNonce, other, response, hasher), AttemptVerdict::kWrong);
}

class AccountStoreTest : public testing::Test {
 protected:
  void Write(const std::string& text) const { std::ofstream(path()) << text; }
  std::string path() const { return folder_ + "/users"; }

  const test::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
};

TEST_F(AccountStoreTest, KeepsTheOldAccountsWhereTheNewOnesCannotBeRead) {
  AccountStore store(path(), false);
  AccountFault fault;
  EXPECT_FALSE(store.Load(&fault).ok());
  EXPECT_EQ(store.accounts(), nullptr);
  Write(FileOf({"alice"}).Text());
  ASSERT_TRUE(store.Load(&fault).ok());
  const auto before = store.accounts();
  Write("# one\nalice:realm\n");
  EXPECT_FALSE(store.Load(&fault).ok());
  EXPECT_EQ(fault.line, 2U);
  EXPECT_EQ(store.accounts(), before);
  Write(FileOf({"bob"}).Text());
  ASSERT_TRUE(store.Load(&fault).ok());
  EXPECT_EQ(Try(*store.accounts(), Algorithm::kMd5, "bob", "secret").verdict,
            AttemptVerdict::kRight);
  EXPECT_EQ(Try(*before, Algorithm::kMd5, "alice", "secret").verdict, AttemptVerdict::kRight)
      << "what was handed out stays";
}

}  // namespace
}  // namespace ktlsim::digest
