#include "kernel_sim/command/access_subject.h"

#include <toml++/toml.h>

#include <array>

#include <fmt/format.h>

#include "kernel_sim/base/toml_depth.h"
#include "kernel_sim/command/policy_words.h"
#include "kernel_sim/command/values.h"
#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::command {
namespace {

constexpr std::array kIntegrityWords = {
    Word<std::uint32_t>{"untrusted", security::kUntrustedIntegrity},
    Word<std::uint32_t>{"low", security::kLowIntegrity},
    Word<std::uint32_t>{"medium", security::kMediumIntegrity},
    Word<std::uint32_t>{"high", security::kHighIntegrity},
    Word<std::uint32_t>{"system", security::kSystemIntegrity}};

std::string AtLine(const toml::node& node, const std::string& wrong) {
  return fmt::format("line {}: {}", node.source().begin.line, wrong);
}

std::string ReadTexts(std::string_view key, const toml::node& node,
                      std::vector<std::string>* texts) {
  const toml::array* const array = node.as_array();
  if (array == nullptr) return AtLine(node, fmt::format("{} is a list of texts", key));
  for (const toml::node& one : *array) {
    const auto* const text = one.as_string();
    if (text == nullptr) return AtLine(one, fmt::format("{} is a list of texts", key));
    texts->push_back(text->get());
  }
  return {};
}

std::string ReadText(std::string_view key, const toml::node& node, std::string* text) {
  const auto* const value = node.as_string();
  if (value == nullptr) return AtLine(node, fmt::format("{} is a text", key));
  *text = value->get();
  return {};
}

std::string ReadKey(std::string_view key, const toml::node& node, SubjectText* subject) {
  if (key == "user") return ReadText(key, node, &subject->user);
  if (key == "integrity") return ReadText(key, node, &subject->integrity);
  if (key == "groups") return ReadTexts(key, node, &subject->groups);
  if (key == "deny-only") return ReadTexts(key, node, &subject->deny_only);
  if (key == "disabled") return ReadTexts(key, node, &subject->disabled);
  if (key == "privileges") return ReadTexts(key, node, &subject->privileges);
  if (key == "restricting") return ReadTexts(key, node, &subject->restricting);
  if (key != "write-restricted") {
    return AtLine(node, fmt::format("\"{}\" is not one of user, groups, deny-only, disabled, "
                                    "privileges, restricting, write-restricted, integrity",
                                    Printable(key)));
  }
  const auto* const flag = node.as_boolean();
  if (flag == nullptr) return AtLine(node, "write-restricted is true or false");
  subject->write_restricted = flag->get();
  return {};
}

std::string AddGroups(const std::vector<std::string>& texts, std::uint32_t attributes,
                      const std::optional<security::Sid>& domain,
                      std::vector<security::TokenGroup>* groups) {
  for (const std::string& text : texts) {
    security::TokenGroup group;
    group.attributes = attributes;
    if (std::string wrong = ParseSidArgument(text, domain, &group.sid); !wrong.empty())
      return wrong;
    groups->push_back(group);
  }
  return {};
}

std::string AddPrivileges(const std::vector<std::string>& names,
                          security::TokenPrivileges* privileges) {
  for (const std::string& name : names) {
    const std::optional<security::Privilege> one = security::FindPrivilege(name);
    if (!one) {
      return fmt::format("\"{}\" is no privilege; write one like SeSecurityPrivilege",
                         Printable(name));
    }
    privileges->held.Add(*one);
    privileges->enabled.Add(*one);
  }
  return {};
}

std::string FillContents(const SubjectText& text, const std::optional<security::Sid>& domain,
                         std::vector<security::TokenGroup>* groups,
                         security::TokenContents* contents) {
  if (text.user.empty()) return "a user is needed";
  std::string wrong = ParseSidArgument(text.user, domain, &contents->user);
  constexpr std::uint32_t kEnabled =
      security::kGroupMandatory | security::kGroupEnabledByDefault | security::kGroupEnabled;
  if (wrong.empty()) wrong = AddGroups(text.groups, kEnabled, domain, groups);
  if (wrong.empty()) wrong = AddGroups(text.deny_only, security::kGroupDenyOnly, domain, groups);
  if (wrong.empty()) wrong = AddGroups(text.disabled, 0, domain, groups);
  if (wrong.empty()) wrong = AddPrivileges(text.privileges, &contents->privileges);
  if (wrong.empty()) wrong = ParseWord(text.integrity, kIntegrityWords, &contents->integrity);
  contents->groups = *groups;
  contents->type = security::TokenType::kImpersonation;
  return wrong;
}

}  // namespace

std::string ParseSubject(std::string_view text, SubjectText* subject) try {
  if (const std::size_t line = LineTooDeep(text); line != 0) {
    return fmt::format("line {}: nested too deeply", line);
  }
  const toml::table top = toml::parse(text);
  for (const auto& [key, node] : top) {
    if (std::string wrong = ReadKey(key.str(), node, subject); !wrong.empty()) return wrong;
  }
  return {};
} catch (const toml::parse_error& error) {
  return fmt::format("line {}: {}", error.source().begin.line, error.description());
}

std::string MakeSubject(const SubjectText& text, const std::optional<security::Sid>& domain,
                        security::TokenStateRef* token) {
  std::vector<security::TokenGroup> groups;
  security::TokenContents contents;
  std::string wrong = FillContents(text, domain, &groups, &contents);
  if (!wrong.empty()) return wrong;
  security::Token::Ref made;
  security::Fault fault = security::Token::Create(contents, &made);
  std::vector<security::TokenGroup> restricting;
  wrong = AddGroups(text.restricting, 0, domain, &restricting);
  if (!wrong.empty()) return wrong;
  if (fault == security::Fault::kNone && !restricting.empty()) {
    std::vector<security::SidView> views;
    views.reserve(restricting.size());
    for (const security::TokenGroup& one : restricting) views.push_back(one.sid.view());
    const security::Restriction restriction{.restricting = views,
                                            .write_restricted = text.write_restricted};
    security::Token::Ref restricted;
    fault = made->Restrict(restriction, {}, &restricted);
    made = std::move(restricted);
  }
  if (fault != security::Fault::kNone) return std::string(security::ToText(fault));
  *token = made->state();
  return {};
}

}  // namespace ktlsim::command
