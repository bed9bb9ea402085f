#include "kernel_sim/digest/directives.h"

#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

namespace ktlsim::digest {
namespace {

std::string Read(std::string_view text, std::string_view repeatable = {}) {
  DirectiveList list;
  const Fault fault = list.Parse(text, kMessageBytesMax, repeatable);
  if (fault != Fault::kNone) {
    EXPECT_TRUE(list.all().empty()) << "a message is taken whole or not at all";
    return "fault: " + std::string(ToText(fault));
  }
  std::string read;
  for (const Directive& directive : list.all()) {
    read.append(directive.name).append("<").append(directive.value).append(">");
  }
  return read;
}

std::string Refusal(Fault fault) { return "fault: " + std::string(ToText(fault)); }

TEST(DirectivesTest, WhatIsTaken) {
  EXPECT_EQ(Read(""), "");
  EXPECT_EQ(Read(" ,, \t,"), "") << "empty elements are skipped";
  EXPECT_EQ(Read("a=b"), "a<b>");
  EXPECT_EQ(Read(", a=b ,\tc = \"d\" ,"), "a<b>c<d>");
  EXPECT_EQ(Read("a=\"\""), "a<>");
  EXPECT_EQ(Read("a=\"b, c=d\",e=f"), "a<b, c=d>e<f>") << "a comma in quotes is none";
  EXPECT_EQ(Read(R"(a="b\"c\\d\e",f="\"")"), "a<b\"c\\de>f<\">");
  EXPECT_EQ(Read("a=\"\xc3\xa4\xe4\""), "a<\xc3\xa4\xe4>") << "bytes of any charset";
  EXPECT_EQ(Read("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe"),
            "username*<UTF-8''J%C3%A4s%C3%B8n%20Doe>");
  EXPECT_EQ(Read("realm=a,REALM=b", "realm"), "realm<a>REALM<b>");
}

TEST(DirectivesTest, WhatIsRefused) {
  const std::pair<std::string, Fault> refused[] = {
      {"a", Fault::kSyntax},
      {"a=", Fault::kSyntax},
      {"=b", Fault::kSyntax},
      {"a b=c", Fault::kSyntax},
      {"a=b c=d", Fault::kSyntax},
      {"a=b;c=d", Fault::kSyntax},
      {"a=\"b\"c", Fault::kSyntax},
      {"a==b", Fault::kSyntax},
      {"a=/b", Fault::kSyntax},
      {"\"a\"=b", Fault::kSyntax},
      {"a=\"b", Fault::kUnterminated},
      {"a=\"", Fault::kUnterminated},
      {"a=\"b\\", Fault::kUnterminated},
      {"a=\"b\\\"", Fault::kUnterminated},
      {"a=b,a=c", Fault::kDuplicate},
      {"a=b,A=b", Fault::kDuplicate},
      {"a=\"b\nc\"", Fault::kControlByte},
      {"a=b\r\n", Fault::kControlByte},
      {"a=\"\x7f\"", Fault::kControlByte},
      {std::string("a=\"b\0\"", 6), Fault::kControlByte},
      {std::string("a=b\0", 4), Fault::kControlByte},
  };
  for (const auto& [text, fault] : refused) EXPECT_EQ(Read(text), Refusal(fault)) << text;
}

TEST(DirectivesTest, NothingIsUnbounded) {
  std::string many;
  for (std::size_t i = 0; i < kDirectivesMax; ++i) many += "n" + std::to_string(i) + "=v,";
  EXPECT_NE(Read(many), Refusal(Fault::kTooMany));
  EXPECT_EQ(Read(many + "one=more"), Refusal(Fault::kTooMany));
  const std::string commas(kMessageBytesMax, ',');
  EXPECT_EQ(Read(commas), "");
  EXPECT_EQ(Read(commas + ","), Refusal(Fault::kTooLong));
  const std::string quotes = "a=\"" + std::string(kMessageBytesMax - 4, '\\') + "\"";
  EXPECT_EQ(quotes.size(), kMessageBytesMax);
  EXPECT_EQ(Read(quotes).size(), 3 + (kMessageBytesMax - 4) / 2);
}

// Whatever is cut off, or changed in one byte: it ends, and takes nothing half.
TEST(DirectivesTest, EveryCutAndEveryByte) {
  const std::string text = R"(username="Mu\"fasa", realm="a, b" ,nc=00000001,, uri="/x\\y")";
  ASSERT_EQ(Read(text), "username<Mu\"fasa>realm<a, b>nc<00000001>uri</x\\y>");
  for (std::size_t cut = 0; cut < text.size(); ++cut) Read(text.substr(0, cut));
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string other = text;
      other[at] = static_cast<char>(byte);
      Read(other);
    }
  }
}

TEST(DirectivesTest, TheSchemesNameMayStandInFront) {
  EXPECT_EQ(WithoutScheme("Digest a=b"), "a=b");
  EXPECT_EQ(WithoutScheme(" dIGEST \t a=b"), "a=b");
  EXPECT_EQ(WithoutScheme("a=b"), "a=b");
  EXPECT_EQ(WithoutScheme("Digest"), "");
  EXPECT_EQ(WithoutScheme("digest=x"), "digest=x") << "a directive of that name";
  EXPECT_EQ(WithoutScheme("digest =x"), "digest =x");
  EXPECT_EQ(WithoutScheme("DigestX a=b"), "DigestX a=b");
  EXPECT_EQ(WithoutScheme(""), "");
}

}  // namespace
}  // namespace ktlsim::digest
