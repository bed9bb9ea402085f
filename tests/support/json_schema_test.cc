#include "tests/support/json_schema.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ktlsim {
namespace {

using Json = nlohmann::json;

std::string Check(const char* schema, const Json& value) {
  return CheckJson(Json::parse(schema), value);
}

TEST(JsonSchemaTest, RefusesWhatIsNotAsItSays) {
  const char* const schema = R"({"type": "object", "properties": {"a": {"$ref": "#/$defs/n"},
      "b": {"type": ["string", "null"], "pattern": "^x"}, "c": {"enum": [1, "two"]}},
      "required": ["a"], "additionalProperties": false,
      "$defs": {"n": {"type": "integer", "minimum": 0, "description": "a count"}}})";
  EXPECT_EQ(Check(schema, {{"a", 1}}), "");
  EXPECT_EQ(Check(schema, {{"a", 1}, {"b", nullptr}, {"c", "two"}}), "");
  EXPECT_EQ(Check(schema, {{"a", 1}, {"b", "xyz"}}), "");
  EXPECT_NE(Check(schema, {{"b", "x"}}), "") << "one that is required";
  EXPECT_NE(Check(schema, {{"a", -1}}), "") << "too small";
  EXPECT_NE(Check(schema, {{"a", 1.5}}), "") << "no integer";
  EXPECT_NE(Check(schema, {{"a", 1}, {"b", "y"}}), "") << "another pattern";
  EXPECT_NE(Check(schema, {{"a", 1}, {"c", 2}}), "") << "not one of the list";
  EXPECT_NE(Check(schema, {{"a", 1}, {"d", 2}}), "") << "one too many";
  EXPECT_NE(Check(schema, Json::array()), "") << "no object";
}

TEST(JsonSchemaTest, GoesIntoArraysMapsAndAlternatives) {
  EXPECT_EQ(Check(R"({"items": {"const": 1}})", Json::array({1, 1})), "");
  EXPECT_EQ(Check(R"({"items": {"const": 1}})", Json::array({1, 2})), "/1: 2 is not const 1");
  EXPECT_NE(Check(R"({"additionalProperties": {"type": "null"}})", {{"x", 1}}), "");
  const char* const either = R"({"oneOf": [{"type": "string"}, {"type": "integer"}]})";
  EXPECT_EQ(Check(either, 1), "");
  EXPECT_NE(Check(either, true), "");
}

TEST(JsonSchemaTest, TheSchemaOfResultsIsThereAndKnown) {
  EXPECT_EQ(CheckResult("load", Json::object()).substr(0, 8), ": no \"sc") << "its first word";
  EXPECT_NE(CheckResult("load", Json::array()), "");
}

TEST(JsonSchemaTest, AKeywordThatIsNotKnownIsNoCheck) {
  EXPECT_NE(Check(R"({"maxItems": 1})", Json::array()), "");
}

}  // namespace
}  // namespace ktlsim
