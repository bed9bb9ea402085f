#include "kernel_sim/digest/account_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace ktlsim::digest {
namespace {

constexpr std::string_view kMd5 = "939e7578ed9e3c518a452acee763bce9";
const std::string kSha256(64, 'a');

// The line that is refused and why, or "".
std::string Refused(std::string_view text) {
  AccountFile file;
  AccountFault fault;
  if (file.Parse(text, &fault)) return "";
  EXPECT_EQ(file.size(), 0U);
  EXPECT_EQ(std::string(fault.why).find("939e"), std::string::npos) << "a hash is shown";
  return std::to_string(fault.line) + ": " + fault.why;
}

std::string Line(std::string_view start, std::string_view hash) {
  return std::string(start).append(hash).append("\n");
}

TEST(AccountFileTest, WhatIsRead) {
  const std::string text = Line("Mufasa:testrealm@host.com:", kMd5) + "\n# a note\n" +
                           Line("SHA-256:Mufasa:testrealm@host.com:", kSha256) +
                           Line("SHA-512-256:Mufasa::", kSha256) + Line("SHA-256:realm:", kMd5);
  AccountFile file;
  AccountFault fault;
  ASSERT_TRUE(file.Parse(text, &fault)) << fault.line << fault.why;
  std::string read;
  file.ForEach([&](const Account& account) {
    read += std::to_string(static_cast<int>(account.hash_id));
    read.append("<").append(account.user).append("><").append(account.realm).append(">");
  });
  EXPECT_EQ(read,
            "0<Mufasa><testrealm@host.com>1<Mufasa><testrealm@host.com>2<Mufasa><>"
            "0<SHA-256><realm>");
  EXPECT_EQ(file.size(), 4U);
  EXPECT_EQ(file.Text(), text) << "notes and order stay";
  AccountFile moved = std::move(file);
  EXPECT_EQ(moved.Text(), text);
}

TEST(AccountFileTest, WhatIsRefused) {
  EXPECT_EQ(Refused(""), "");
  EXPECT_EQ(Refused(Line("a:r:", kMd5) + "b:r"), "2: the line is not user:realm:hash");
  EXPECT_EQ(Refused(Line(":r:", kMd5)), "1: the user has no name");
  EXPECT_EQ(Refused(Line("a:r:", kMd5.substr(1))),
            "1: the hash does not have the digits of its algorithm");
  EXPECT_EQ(Refused(Line("SHA-256:a:r:", kMd5)),
            "1: the hash does not have the digits of its algorithm");
  EXPECT_EQ(Refused(Line("SHA-1:a:r:", kMd5)), "1: the line begins with an unknown algorithm");
  EXPECT_EQ(Refused(Line("SHA-256:a:b:r:", kSha256)), "1: the line has too many fields");
  EXPECT_EQ(Refused(std::string("a\0:r:", 5) + std::string(kMd5)), "1: a control character");
  EXPECT_EQ(Refused("a\tb:r:" + std::string(kMd5)), "1: a control character");
  EXPECT_EQ(Refused(Line("a:r:", kMd5) + Line("b:r:", kMd5) + Line("a:r:", kMd5)),
            "3: the user has another line for this realm and algorithm");
  EXPECT_EQ(Refused(std::string(kAccountLineBytesMax + 1, 'a')), "1: the line is too long");
  EXPECT_EQ(Refused("a:r:" + std::string(kMd5) + "\r\n"), "") << "the ends of lines of others";
}

class EditAccountFileTest : public testing::Test {
 protected:
  std::string path() const { return folder_ + "/users"; }
  std::string Content() const {
    std::ifstream file(path());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  Account Named(std::string_view user, HashId id = HashId::kMd5) const {
    Account account = {.hash_id = id, .user = user, .realm = "r", .hash = {}};
    EXPECT_TRUE(ParseHex(id == HashId::kMd5 ? kMd5 : kSha256, id, &account.hash));
    return account;
  }

  AccountFault fault_;
  const test::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
};

TEST_F(EditAccountFileTest, AddsReplacesAndRemoves) {
  const auto add = [&](AccountFile& file) {
    return file.Set(Named("a")) && file.Set(Named("b")) && file.Set(Named("a", HashId::kSha256));
  };
  ASSERT_TRUE(EditAccountFile(path().c_str(), add, &fault_).ok());
  const std::string all = Line("a:r:", kMd5) + Line("b:r:", kMd5) + Line("SHA-256:a:r:", kSha256);
  EXPECT_EQ(Content(), all);
  struct stat facts{};
  ASSERT_EQ(stat(path().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777U, 0600U) << "it is nobody else's to read";
  const auto replace = [&](AccountFile& file) {
    Account account = Named("a");
    account.hash = HashValue(std::array<std::uint8_t, 16>{});
    return file.Set(account);
  };
  ASSERT_TRUE(EditAccountFile(path().c_str(), replace, &fault_).ok());
  EXPECT_TRUE(Content().starts_with("a:r:00000000000000000000000000000000\nb:r:"));
  const auto remove = [](AccountFile& file) {
    EXPECT_EQ(file.Remove("a", "other"), 0U);
    EXPECT_EQ(file.Remove("a", "r"), 2U);
    EXPECT_EQ(file.size(), 1U);
    return true;
  };
  ASSERT_TRUE(EditAccountFile(path().c_str(), remove, &fault_).ok());
  EXPECT_EQ(Content(), Line("b:r:", kMd5));
}

TEST_F(EditAccountFileTest, ARefusedEditChangesNothing) {
  std::ofstream(path()) << "broken\n";
  bool called = false;
  const auto edit = [&](AccountFile&) { return called = true; };
  EXPECT_FALSE(EditAccountFile(path().c_str(), edit, &fault_).ok());
  EXPECT_EQ(fault_.line, 1U);
  EXPECT_FALSE(called);
  EXPECT_EQ(Content(), "broken\n");
  std::ofstream(path()) << "";
  ASSERT_TRUE(
      EditAccountFile(
          path().c_str(), [&](AccountFile& file) { return file.Set(Named("a")) && false; }, &fault_)
          .ok());
  EXPECT_EQ(Content(), "");
}

TEST_F(EditAccountFileTest, TwoDoNotEditAtOnce) {
  const int other = open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
  const auto edit = [&](AccountFile& file) { return file.Set(Named("a")); };
  EXPECT_NE(EditAccountFile(path().c_str(), edit, &fault_).ToString().find("another program"),
            std::string::npos);
  close(other);
  EXPECT_TRUE(EditAccountFile(path().c_str(), edit, &fault_).ok());
}

TEST_F(EditAccountFileTest, NamesThatCannotStandInALine) {
  AccountFile file;
  const std::string too_long(kAccountLineBytesMax, 'a');
  for (const std::string_view name :
       {std::string_view(""), std::string_view("a:b"), std::string_view("a\nb"),
        std::string_view("#a"), std::string_view("a\tb"), std::string_view(too_long),
        std::string_view("a\0b", 3)}) {
    EXPECT_FALSE(file.Set(Named(name))) << name;
  }
  Account account = Named("a");
  account.realm = "r:s";
  EXPECT_FALSE(file.Set(account));
  EXPECT_EQ(file.Text(), "");
  EXPECT_TRUE(file.Set(Named("SHA-256"))) << "three fields: MD5";
  AccountFile again;
  EXPECT_TRUE(again.Parse(file.Text(), &fault_));
}

}  // namespace
}  // namespace ktlsim::digest
