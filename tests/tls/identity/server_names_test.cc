// Which certificates are for a name: an exact name before a wildcard, the caller's names before the
// certificate's, and none for a text that is no DNS name.
#include "tls/identity/server_names.h"

#include <string>

#include <gtest/gtest.h>

namespace ktlsim::tls {
namespace {

using Source = ServerNameTable::Source;
using Places = ServerNameTable::Places;

Places Found(const ServerNameTable& table, const std::string& name) {
  const Places* places = table.Find(name);
  return places != nullptr ? *places : Places();
}

TEST(ServerNameTableTest, AnExactNameGoesBeforeTheWildcardThatCoversIt) {
  ServerNameTable table;
  ASSERT_TRUE(table.Add("*.example.org", 0, Source::kCaller));
  ASSERT_TRUE(table.Add("www.example.org", 1, Source::kCertificate));
  EXPECT_EQ(Found(table, "www.example.org"), Places{1});
  EXPECT_EQ(Found(table, "mail.example.org"), Places{0});
}

TEST(ServerNameTableTest, AWildcardStandsForExactlyOneLabel) {
  ServerNameTable table;
  ASSERT_TRUE(table.Add("*.example.org", 0, Source::kCertificate));
  for (const char* name : {"example.org", "a.b.example.org", ".example.org", "org", "xexample.org",
                           "*.example.org", "example.org.", "..example.org"}) {
    EXPECT_EQ(table.Find(name), nullptr) << name;
  }
  EXPECT_NE(table.Find("a.example.org"), nullptr);
}

TEST(ServerNameTableTest, TheCallersWordReplacesTheCertificates) {
  ServerNameTable table;
  ASSERT_TRUE(table.Add("a.test", 0, Source::kCertificate));
  ASSERT_TRUE(table.Add("a.test", 1, Source::kCaller));
  ASSERT_TRUE(table.Add("a.test", 2, Source::kCaller));
  ASSERT_TRUE(table.Add("a.test", 1, Source::kCaller));
  EXPECT_EQ(Found(table, "a.test"), (Places{1, 2}));
}

TEST(ServerNameTableTest, CaseAndOneTrailingDotDoNotCount) {
  ServerNameTable table;
  ASSERT_TRUE(table.Add("WWW.Example.ORG.", 3, Source::kCertificate));
  for (const char* name : {"www.example.org", "WWW.EXAMPLE.ORG", "www.example.org."}) {
    EXPECT_EQ(Found(table, name), Places{3}) << name;
  }
  EXPECT_EQ(table.Find("www.example.org.."), nullptr);
}

TEST(ServerNameTableTest, WhatIsNoNameIsRefusedAndNeverFound) {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  ServerNameTable table;
  ASSERT_EQ(longest.size(), 253U);
  EXPECT_TRUE(table.Add(longest, 0, Source::kCaller));
  EXPECT_NE(table.Find(longest), nullptr);
  const std::string hostile[] = {"",
                                 ".",
                                 "*",
                                 "*.",
                                 "*.*.test",
                                 "a*.test",
                                 "a..test",
                                 "192.0.2.7",
                                 "2001:db8::1",
                                 "a b.test",
                                 "a\nb.test",
                                 "\xc3\xa4.test",
                                 std::string("a\0b.test", 8),
                                 std::string("a.test\0", 7),
                                 label + "a.test",
                                 "x" + longest,
                                 std::string(100'000, 'a')};
  for (const std::string& name : hostile) {
    EXPECT_FALSE(table.Add(name, 1, Source::kCaller)) << name.substr(0, 80);
    EXPECT_EQ(table.Find(name), nullptr) << name.substr(0, 80);
  }
}

}  // namespace
}  // namespace ktlsim::tls
