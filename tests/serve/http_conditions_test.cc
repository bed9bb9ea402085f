#include "kernel_sim/serve/http_conditions.h"

#include <string>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

constexpr std::time_t kExample = 784111777;  // RFC 9110 5.6.7
constexpr const char* kExampleText = "Sun, 06 Nov 1994 08:49:37 GMT";
const Validators kFile{"\"v1\"", kExample};

TEST(HttpConditionsTest, ReadsTheThreeFormsOfDates) {
  EXPECT_EQ(ParseHttpDate(kExampleText), kExample);
  EXPECT_EQ(ParseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT"), kExample);
  EXPECT_EQ(ParseHttpDate("Sun Nov  6 08:49:37 1994"), kExample);
  EXPECT_EQ(ParseHttpDate("  Sun, 06 Nov 1994 08:49:37 GMT  "), kExample);
  for (const char* bad :
       {"", "yesterday", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT!",
        "Sun, 99 Nov 1994 08:49:37 GMT", "Thu, 01 Jan 1869 00:00:00 GMT"}) {
    EXPECT_EQ(ParseHttpDate(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(ParseHttpDate(std::string(1000, 'S')), std::nullopt);
}

TEST(HttpConditionsTest, Preconditions) {
  const std::string before = "Sun, 06 Nov 1994 08:49:36 GMT";
  const std::string after = "Sun, 06 Nov 1994 08:49:38 GMT";
  struct Case {
    HttpRequestText text;
    unsigned status;
  };
  const Case cases[] = {
      {{}, 0},
      {{.if_none_match = "\"v1\""}, 304},
      {{.if_none_match = "W/\"v1\""}, 304},
      {{.if_none_match = "\"a\", \"v1\""}, 304},
      {{.if_none_match = ",, \"v1\""}, 304},
      {{.if_none_match = "\"a\",,\t, \"v1\" ,"}, 304},
      {{.if_none_match = ", *"}, 304},
      {{.if_none_match = ",,"}, 0},
      {{.if_match = ", \"v1\""}, 0},
      {{.if_match = ", ,"}, 412},
      {{.if_none_match = "\"a\" ,W/\"v1\" , \"b\""}, 304},
      {{.if_none_match = "*"}, 304},
      {{.if_none_match = "\"v2\""}, 0},
      {{.if_none_match = "v1"}, 0},
      {{.if_none_match = "\"v1"}, 0},
      {{.if_modified_since = kExampleText}, 304},
      {{.if_modified_since = after}, 304},
      {{.if_modified_since = before}, 0},
      {{.if_modified_since = "nonsense"}, 0},
      // If-None-Match decides alone (RFC 9110 13.1.3).
      {{.if_modified_since = after, .if_none_match = "\"v2\""}, 0},
      {{.if_match = "\"v1\""}, 0},
      {{.if_match = "*"}, 0},
      {{.if_match = "\"v2\""}, 412},
      {{.if_match = "W/\"v1\""}, 412},
      {{.if_unmodified_since = kExampleText}, 0},
      {{.if_unmodified_since = before}, 412},
      {{.if_match = "\"v1\"", .if_unmodified_since = before}, 0},
      {{.if_match = "\"v1\"", .if_none_match = "\"v1\""}, 304},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(CheckPreconditions(c.text, kFile), c.status)
        << c.text.if_none_match << c.text.if_modified_since << c.text.if_match;
  }
}

TEST(HttpConditionsTest, Ranges) {
  using Kind = ByteRange::Kind;
  struct Case {
    const char* range;
    std::uint64_t size;
    Kind kind;
    std::uint64_t first;
    std::uint64_t bytes;
  };
  const Case cases[] = {
      {"", 10, Kind::kWhole, 0, 0},
      {"bytes=0-0", 10, Kind::kPart, 0, 1},
      {"bytes=0-", 10, Kind::kPart, 0, 10},
      {"bytes=9-", 10, Kind::kPart, 9, 1},
      {"bytes=2-4", 10, Kind::kPart, 2, 3},
      {"BYTES=2-4", 10, Kind::kPart, 2, 3},
      {" bytes= 2 - 4 ", 10, Kind::kPart, 2, 3},
      {"bytes=2-99", 10, Kind::kPart, 2, 8},
      {"bytes=2-99999999999999999999999", 10, Kind::kPart, 2, 8},
      {"bytes=-3", 10, Kind::kPart, 7, 3},
      {"bytes=-99", 10, Kind::kPart, 0, 10},
      {"bytes=10-", 10, Kind::kUnsatisfiable, 0, 0},
      {"bytes=99999999999999999999999-", 10, Kind::kUnsatisfiable, 0, 0},
      {"bytes=-0", 10, Kind::kUnsatisfiable, 0, 0},
      {"bytes=0-", 0, Kind::kUnsatisfiable, 0, 0},
      {"bytes=-1", 0, Kind::kWhole, 0, 0},
      {"bytes=-0", 0, Kind::kUnsatisfiable, 0, 0},
      {"bytes=,2-4", 10, Kind::kPart, 2, 3},
      {"bytes= , 2-4 ,,", 10, Kind::kPart, 2, 3},
      {"bytes=,,", 10, Kind::kWhole, 0, 0},
      {"bytes=0-1,,3-4", 10, Kind::kWhole, 0, 0},
      {"bytes=4-2", 10, Kind::kWhole, 0, 0},
      {"bytes=-", 10, Kind::kWhole, 0, 0},
      {"bytes=a-b", 10, Kind::kWhole, 0, 0},
      {"bytes=1", 10, Kind::kWhole, 0, 0},
      {"bytes=+1-2", 10, Kind::kWhole, 0, 0},
      {"bytes", 10, Kind::kWhole, 0, 0},
      {"lines=1-2", 10, Kind::kWhole, 0, 0},
      {"bytes=0-1,3-4", 10, Kind::kWhole, 0, 0},
      {"bytes=0-1, bytes=3-4", 10, Kind::kWhole, 0, 0},
  };
  for (const Case& c : cases) {
    HttpRequestText text;
    text.range = c.range;
    const ByteRange range = SelectRange(text, kFile, c.size);
    EXPECT_EQ(range.kind, c.kind) << c.range;
    EXPECT_EQ(range.first, c.first) << c.range;
    EXPECT_EQ(range.bytes, c.bytes) << c.range;
  }
}

TEST(HttpConditionsTest, IfRangeNeedsTheVeryFile) {
  const auto part = [](const char* condition) {
    HttpRequestText text;
    text.range = "bytes=1-2";
    text.if_range = condition;
    return SelectRange(text, kFile, 10).kind == ByteRange::Kind::kPart;
  };
  EXPECT_TRUE(part("\"v1\""));
  EXPECT_TRUE(part(kExampleText));
  EXPECT_FALSE(part("\"v2\""));
  EXPECT_FALSE(part("W/\"v1\""));
  EXPECT_FALSE(part("Sun, 06 Nov 1994 08:49:38 GMT"));
  EXPECT_FALSE(part("nonsense"));
}

}  // namespace
}  // namespace ktlsim::serve
