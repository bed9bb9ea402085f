#include "tests/support/json_schema.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <regex>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tests/support/paths.h"

namespace ktlsim {
namespace {

using Json = nlohmann::json;

bool HasType(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "integer") return value.is_number_integer();
  return type == "number" && value.is_number();
}

class Checker {
 public:
  explicit Checker(const Json& root) : root_(root) {}

  std::string Check(const Json& schema, const Json& value, const std::string& at) const {
    for (const auto& [keyword, argument] : schema.items()) {
      std::string wrong = CheckKeyword(keyword, argument, schema, value, at);
      if (!wrong.empty()) return wrong;
    }
    return {};
  }

 private:
  std::string CheckKeyword(const std::string& keyword, const Json& argument, const Json& schema,
                           const Json& value, const std::string& at) const {
    constexpr std::array<std::string_view, 4> kNotes = {"$schema", "$defs", "title", "description"};
    if (std::find(kNotes.begin(), kNotes.end(), keyword) != kNotes.end()) return {};
    const bool ok = keyword == "type"      ? OneOfTypes(argument, value)
                    : keyword == "enum"    ? Contains(argument, value)
                    : keyword == "const"   ? value == argument
                    : keyword == "minimum" ? !value.is_number() || value >= argument
                    : keyword == "pattern" ? Matches(argument, value)
                                           : true;
    if (!ok) return at + ": " + value.dump() + " is not " + keyword + " " + argument.dump();
    if (keyword == "$ref") return Check(Referenced(argument), value, at);
    if (keyword == "oneOf") return CheckOneOf(argument, value, at);
    if (keyword == "items") return CheckItems(argument, value, at);
    if (keyword == "required") return CheckRequired(argument, value, at);
    if (keyword == "properties") return CheckProperties(argument, value, at);
    if (keyword == "additionalProperties") return CheckOthers(argument, schema, value, at);
    constexpr std::array<std::string_view, 5> kChecked = {"type", "enum", "const", "minimum",
                                                          "pattern"};
    const bool checked = std::find(kChecked.begin(), kChecked.end(), keyword) != kChecked.end();
    return checked ? "" : at + ": the schema's keyword " + keyword + " is not known";
  }

  static bool Contains(const Json& list, const Json& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  }
  static bool OneOfTypes(const Json& types, const Json& value) {
    if (types.is_string()) return HasType(value, types);
    return std::any_of(types.begin(), types.end(),
                       [&value](const Json& type) { return HasType(value, type); });
  }
  static bool Matches(const Json& pattern, const Json& value) {
    return !value.is_string() ||
           std::regex_search(value.get<std::string>(), std::regex(pattern.get<std::string>()));
  }

  const Json& Referenced(const std::string& reference) const {
    return root_.at(Json::json_pointer(reference.substr(1)));
  }

  std::string CheckOneOf(const Json& branches, const Json& value, const std::string& at) const {
    int fits = 0;
    std::string all;
    for (const Json& branch : branches) {
      const std::string wrong = Check(branch, value, at);
      fits += wrong.empty() ? 1 : 0;
      all += "\n  " + wrong;
    }
    if (fits == 1) return {};
    return at + ": " + std::to_string(fits) + " of the schema's forms fit:" + all;
  }

  std::string CheckItems(const Json& schema, const Json& value, const std::string& at) const {
    if (!value.is_array()) return {};
    for (std::size_t i = 0; i < value.size(); ++i) {
      std::string wrong = Check(schema, value[i], at + "/" + std::to_string(i));
      if (!wrong.empty()) return wrong;
    }
    return {};
  }

  static std::string CheckRequired(const Json& names, const Json& value, const std::string& at) {
    for (const Json& name : names) {
      if (value.is_object() && !value.contains(name)) return at + ": no " + name.dump();
    }
    return {};
  }

  std::string CheckProperties(const Json& schemas, const Json& value, const std::string& at) const {
    for (const auto& [name, schema] : schemas.items()) {
      if (!value.is_object() || !value.contains(name)) continue;
      std::string wrong = Check(schema, value[name], std::string(at).append("/").append(name));
      if (!wrong.empty()) return wrong;
    }
    return {};
  }

  std::string CheckOthers(const Json& schema, const Json& whole, const Json& value,
                          const std::string& at) const {
    if (!value.is_object()) return {};
    for (const auto& [name, other] : value.items()) {
      if (whole.contains("properties") && whole["properties"].contains(name)) continue;
      if (schema == false)
        return std::string(at).append(": ").append(name) + " is not in the schema";
      std::string wrong = Check(schema, other, std::string(at).append("/").append(name));
      if (!wrong.empty()) return wrong;
    }
    return {};
  }

  const Json& root_;
};

}  // namespace

std::string CheckJson(const nlohmann::json& schema, const nlohmann::json& value) {
  return Checker(schema).Check(schema, value, "");
}

std::string CheckResult(const std::string& command, const nlohmann::json& result) {
  std::ifstream file(test::SourceRoot() + "/kernel_sim/command/schema/results.schema.json");
  const Json schema = Json::parse(file, nullptr, false);
  if (!schema.is_object()) return "the schema cannot be read";
  if (!result.is_object()) return "there is no result";
  // The command's own schema first: its message says what is wrong.
  std::string wrong = Checker(schema).Check({{"$ref", "#/$defs/" + command}}, result, "");
  return wrong.empty() ? CheckJson(schema, result) : wrong;
}

}  // namespace ktlsim
