#include "kernel_sim/accounts/directory_editor.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/accounts/accounts_test_support.h"

namespace ktlsim::accounts {
namespace {

using test::CheapHash;

PasswordHash NewHash(std::string_view password) {
  PasswordHash hash;
  EXPECT_EQ(PasswordHash::Parse(CheapHash(password), &hash), nullptr);
  return hash;
}

TEST(DirectoryEditorTest, AnotherPasswordLeavesTheRestAsItIs) {
  const std::string old = CheapHash("old");
  const std::string other = CheapHash("other");
  // The other account has the same hash in front.
  const auto text = [&](const std::string& hash) {
    return "# ours\n[[account]]\nname = 'bob'\npassword = '" + old +
           "' # bob's\n\n[[account]]   # m\xC3\xBCller\nname = \"alice\"\npassword = \"" + hash +
           "\" # hers\n[[group]]\nname = 'g'\n";
  };
  std::string changed = text(old);
  ASSERT_EQ(SetPassword("d.toml", "ALICE", NewHash("other"), &changed), "");
  EXPECT_EQ(changed, text(other));
}

TEST(DirectoryEditorTest, AFirstPasswordComesBesideTheName) {
  std::string text = "[[account]]\nupn = 'a@b'\nname = 'alice'\n[[account]]\nname = 'bob'\n";
  ASSERT_EQ(SetPassword("d.toml", "alice", NewHash("x"), &text), "");
  EXPECT_EQ(text, "[[account]]\nupn = 'a@b'\npassword = \"" + CheapHash("x") +
                      "\"\nname = 'alice'\n[[account]]\nname = 'bob'\n");
}

TEST(DirectoryEditorTest, ANewAccountStandsAtTheEnd) {
  std::string text;
  ASSERT_EQ(AddAccount("d.toml", "alice", NewHash("x"), &text), "");
  text += "# no end of line";
  ASSERT_EQ(AddAccount("d.toml", "m\xC3\xBCller", NewHash("y"), &text), "");
  const auto directory = test::DirectoryOf(text);
  ASSERT_EQ(directory->accounts().size(), 2U);
  EXPECT_EQ(directory->accounts()[1].name, "m\xC3\xBCller");
  EXPECT_EQ(directory->accounts()[1].password->Text(), CheapHash("y"));
}

TEST(DirectoryEditorTest, WhatCannotBeChangedStaysAsItIs) {
  const std::string good = "[[account]]\nname = 'alice'\n";
  const auto expect = [](const std::string& before, const std::string& told, auto edit) {
    std::string text = before;
    const std::string wrong = edit(&text);
    EXPECT_NE(wrong.find(told), std::string::npos) << wrong;
    EXPECT_EQ(wrong.find('\n'), std::string::npos) << wrong;
    EXPECT_EQ(text, before);
  };
  const auto set = [](const char* name) {
    return [name](std::string* text) { return SetPassword("d.toml", name, NewHash("x"), text); };
  };
  const auto add = [](const char* name) {
    return [name](std::string* text) { return AddAccount("d.toml", name, NewHash("x"), text); };
  };
  expect(good, "no account \"bob\"; `ktlsim accounts add`", set("bob"));
  expect(good, "has an account \"Alice\"; `ktlsim accounts passwd`", add("Alice"));
  expect(good, "a name is 1 to", add("a@b"));
  expect(good, "d.toml:", add("a\"\npassword = \"x"));
  expect(good, "a name is", add(""));
  expect("x = \n", "d.toml:1: not TOML", set("alice"));
  expect("x = \n", "d.toml:1: not TOML", add("bob"));
  // A form of TOML in which a line more means something else.
  expect("account = [{name = 'alice'}]\n", "write the password of \"alice\" by hand: $argon2id$",
         set("alice"));
  expect("account = [{name = 'alice'}]\n", "d.toml:", add("bob"));
}

}  // namespace
}  // namespace ktlsim::accounts
