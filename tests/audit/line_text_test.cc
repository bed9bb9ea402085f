// Hostile names: whatever they are, a line stays one line and one JSON object.
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/audit/audit_line.h"
#include "tests/audit/audit_test_support.h"
#include "tests/support/seeds.h"

namespace ktlsim::audit {
namespace {

std::string LineWith(std::string_view name) {
  std::string line;
  LineText text(&line);
  text.Open("");
  text.Text("name", name);
  text.Close();
  return line;
}

TEST(LineTextTest, EscapesWhatIsNotPrintableAscii) {
  EXPECT_EQ(LineWith("a\"b\\c/"), R"({"name":"a\"b\\c/"})");
  EXPECT_EQ(LineWith(std::string_view("\n\r\t\0\x7f", 5)),
            R"({"name":"\u000a\u000d\u0009\u0000\u007f"})");
  EXPECT_EQ(LineWith("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
            R"({"name":"\u00e4\u20ac\ud83d\ude00"})");
  EXPECT_EQ(LineWith("\xe2\x80\xae"), R"({"name":"\u202e"})") << "right to left";
}

TEST(LineTextTest, ABrokenByteIsTheReplacementCharacter) {
  // A lone continuation, a long form, a surrogate, above the last code point, cut off.
  EXPECT_EQ(LineWith("\x80z"), R"({"name":"\ufffdz"})");
  EXPECT_EQ(LineWith("\xc0\xaf"), R"({"name":"\ufffd\ufffd"})");
  EXPECT_EQ(LineWith("\xe0\x80\xaf"), R"({"name":"\ufffd\ufffd\ufffd"})");
  EXPECT_EQ(LineWith("\xed\xa0\x80"), R"({"name":"\ufffd\ufffd\ufffd"})");
  EXPECT_EQ(LineWith("\xf4\x90\x80\x80"), R"({"name":"\ufffd\ufffd\ufffd\ufffd"})");
  EXPECT_EQ(LineWith("\xe2\x82"), R"({"name":"\ufffd\ufffd"})");
  EXPECT_EQ(LineWith("\xff"), R"({"name":"\ufffd"})");
}

TEST(LineTextTest, ReadsBackWhatIsUtf8) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string name(random() % 40, ' ');
    for (char& c : name) c = static_cast<char>(random());
    const std::string line = LineWith(name);
    for (const char c : line) EXPECT_TRUE(c >= ' ' && c <= '~');
    const nlohmann::json read = nlohmann::json::parse(line);
    ASSERT_EQ(read.size(), 1U);
  }
  EXPECT_EQ(nlohmann::json::parse(LineWith("gr\xc3\xbc\xc3\x9f\x01\xf0\x9f\x98\x80"))["name"],
            "gr\xc3\xbc\xc3\x9f\x01\xf0\x9f\x98\x80");
}

// A name that is itself the end of a line and a whole other line.
TEST(LineTextTest, ANameCannotForgeALine) {
  test::TrailScene scene;
  const std::string forged =
      "x\",\"mac\":\"" + std::string(64, '0') + "\"}\n{\"seq\":2,\"event\":\"access\"}\n";
  const std::string huge(70000, '\xff');
  {
    const std::unique_ptr<AuditTrail> trail = scene.Open();
    for (const std::string& name :
         {forged, std::string("\n"), huge, std::string("\",\"log\":\"")}) {
      ASSERT_EQ(trail->Write(
                    {.client_name = name, .subsystem = name, .object_type = name, .object = name}),
                Taken::kQueued);
    }
    ASSERT_TRUE(trail->Close().ok());
  }
  EXPECT_EQ(test::TextOf(scene.Verify()), "");
  const std::vector<std::string> lines = test::LinesOf(test::ContentOf(scene.log()));
  ASSERT_EQ(lines.size(), 6U);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const nlohmann::json line = nlohmann::json::parse(lines[i]);
    EXPECT_EQ(line["seq"], i);
    EXPECT_LE(lines[i].size(), kLineBytesMax);
  }
  EXPECT_EQ(nlohmann::json::parse(lines[1])["object"], forged);
  EXPECT_TRUE(nlohmann::json::parse(lines[3])["cut"]);
}

TEST(AuditLineTest, OnlyAWholeLineIsOne) {
  const std::string end =
      R"(,"prev":")" + std::string(32, 'b') + R"(","mac":")" + std::string(64, 'a') + "\"}";
  const std::string good = R"({"seq":12,"time":"x")" + end;
  const std::optional<ParsedLine> parsed = ParseLine(good);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->sequence, 12U);
  EXPECT_EQ(parsed->body, R"({"seq":12,"time":"x","prev":")" + std::string(32, 'b') + "\"");
  EXPECT_EQ(parsed->previous[15], std::byte{0xbb});
  for (const std::string& bad :
       {std::string(), std::string("{}"), good + " ", " " + good, good.substr(1),
        good.substr(0, good.size() - 1), R"({"seq":012)" + end, R"({"seq":-1)" + end,
        R"({"seq":)" + end, R"({"seq":18446744073709551616)" + end,
        R"({"seq":1,"mac":")" + std::string(64, 'a') + "\"}",
        R"({"seq":1,"prev":")" + std::string(32, 'B') + R"(","mac":")" + std::string(64, 'a') +
            "\"}",
        R"({"seq":1,"prev":")" + std::string(31, 'b') + R"(","mac":")" + std::string(64, 'a') +
            "\"}",
        R"({"seq":1,"prev":")" + std::string(32, 'b') + R"(","mac":")" + std::string(64, 'A') +
            "\"}",
        R"({"seq":1,"prev":")" + std::string(32, 'b') + R"(","mac":")" + std::string(63, 'a') +
            "\"}"}) {
    EXPECT_FALSE(ParseLine(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace ktlsim::audit
