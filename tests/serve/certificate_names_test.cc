// Which files a client's name leads to.
#include "kernel_sim/serve/certificate_names.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

std::vector<std::string> Stems(const std::string& asked, bool strict = false) {
  const std::string host = HostNameOf(asked);
  std::vector<std::string> stems;
  for (unsigned step = 0; step < 10; ++step) {
    std::string stem = StemFor(host, step, !asked.empty(), strict);
    if (stem.empty()) break;
    stems.push_back(std::move(stem));
  }
  return stems;
}

TEST(CertificateNamesTest, ExactBeforeWildcardBeforeDefault) {
  EXPECT_EQ(Stems("www.example.org"),
            (std::vector<std::string>{"www.example.org", "_.example.org", "default"}));
  EXPECT_EQ(Stems("localhost"), (std::vector<std::string>{"localhost", "default"}));
  EXPECT_EQ(Stems(""), (std::vector<std::string>{"default"}));
}

TEST(CertificateNamesTest, StrictLeavesTheDefaultToThoseWhoAskForNoName) {
  EXPECT_EQ(Stems("www.example.org", true),
            (std::vector<std::string>{"www.example.org", "_.example.org"}));
  EXPECT_EQ(Stems("", true), (std::vector<std::string>{"default"}));
  EXPECT_TRUE(Stems("../x", true).empty());
}

TEST(CertificateNamesTest, CaseAndTheLastDotDoNotCount) {
  EXPECT_EQ(HostNameOf("WWW.Example.ORG."), "www.example.org");
  EXPECT_EQ(HostNameOf("xn--bcher-kva.example"), "xn--bcher-kva.example");
  EXPECT_EQ(HostNameOf("3com.example1"), "3com.example1");
}

TEST(CertificateNamesTest, OtherNamesLeadToTheDefaultOnly) {
  const std::vector<std::string> names = {"..",
                                          "../x",
                                          "/etc/passwd",
                                          "a/b",
                                          "a\\b",
                                          ".",
                                          ".a",
                                          "a..b",
                                          "a..",
                                          "-a.b",
                                          "a-.b",
                                          "a.-b",
                                          "_.example.org",
                                          "*.example.org",
                                          "a b",
                                          "a_b.example",
                                          "a:443",
                                          "127.0.0.1",
                                          "1",
                                          "::1",
                                          "a.\xc3\xbc",
                                          "a\n",
                                          std::string("a\0b", 3),
                                          std::string("a\0", 2),
                                          std::string(1, '\0'),
                                          std::string(64, 'a') + ".b",
                                          std::string(250, 'a')};
  for (const std::string& name : names) {
    EXPECT_EQ(HostNameOf(name), "") << name;
    EXPECT_EQ(Stems(name), (std::vector<std::string>{"default"})) << name;
  }
}

TEST(CertificateNamesTest, EveryByteIsALetterADigitAHyphenOrRefused) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto c = static_cast<char>(byte);
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '.';
    const std::string host = HostNameOf(std::string("a") + c + "b");
    EXPECT_EQ(!host.empty(), good) << byte;
  }
}

TEST(CertificateNamesTest, NamesFitAFile) {
  std::string longest = std::string(63, 'a') + '.' + std::string(63, 'b') + '.' +
                        std::string(63, 'c') + '.' + std::string(57, 'd');
  ASSERT_EQ(longest.size(), 249U);
  EXPECT_EQ(HostNameOf(longest), longest);
  EXPECT_LE(("_." + longest + ".crt").size(), 255U);
  EXPECT_EQ(HostNameOf(longest + "d"), "");
}

TEST(CertificateNamesTest, StemsAreWhatNamesLeadTo) {
  for (const char* stem : {"default", "localhost", "www.example.org", "_.example.org", "_.org"}) {
    EXPECT_TRUE(IsStem(stem)) << stem;
  }
  for (const char* stem : {"", "_.", "_", "*.example.org", "WWW.example.org", "a..b", "_._.org",
                           "my_site", "example.org.", "127.0.0.1"}) {
    EXPECT_FALSE(IsStem(stem)) << stem;
  }
}

}  // namespace
}  // namespace ktlsim::serve
