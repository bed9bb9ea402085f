#include "kernel_sim/authorization/environment_block.h"

#include <ktlsim/security.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string_view>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/caller_text.h"
#include "kernel_sim/security/privileges.h"
#include "kernel_sim/security/sid.h"
#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::authorization {
namespace {

using security::Fault;

Fault Keep(std::string variable, std::vector<std::string>* variables) {
  const std::size_t name = variable.find('=');
  if (name == 0 || name == std::string::npos) return Fault::kInvalidParameter;
  if (!variable.starts_with(kTokenVariables)) variables->push_back(std::move(variable));
  return Fault::kNone;
}

// The texts of a block: each is copied before it is looked at.
template <typename Unit>
Fault ReadBlock(const void* block, std::vector<std::string>* variables) {
  std::size_t read = 0;
  for (;;) {
    std::basic_string<Unit> text;
    for (;; ++read) {
      if (read >= kEnvironmentUnitsMax) return Fault::kInvalidParameter;
      const auto unit = LoadElement<Unit>(block, 0, read);
      if (unit == 0) break;
      text.push_back(unit);
    }
    ++read;
    if (text.empty()) return Fault::kNone;
    std::string variable;
    Fault fault = ReadText(text.c_str(), &variable);
    if (fault == Fault::kNone) fault = Keep(std::move(variable), variables);
    if (fault != Fault::kNone) return fault;
  }
}

void ReadOwn(std::vector<std::string>* variables) {
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
    // A child of Unix may have texts that are no variables; they say nothing.
    static_cast<void>(Keep(*one, variables));
  }
}

std::string Hexadecimal(std::uint64_t number) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(number));
  return text.data();
}

void Add(const char* name, std::string_view value, std::vector<std::string>* variables) {
  std::string variable(kTokenVariables);
  variable.append(name).append("=").append(value);
  variables->push_back(std::move(variable));
}

// Appends to a list in one variable.
void Append(std::string_view item, std::string* list) {
  if (!list->empty()) list->push_back(',');
  list->append(item);
}

std::string GroupList(const security::TokenState& state) {
  std::string list;
  for (std::size_t i = 1; i < state.sids().size(); ++i) {
    Append(security::SidText(state.sids()[i]).view(), &list);
    list.append("/").append(Hexadecimal(state.attributes(i)));
  }
  return list;
}

std::string PrivilegeList(const security::TokenPrivileges& privileges) {
  std::string list;
  privileges.held.ForEach([&](security::Privilege one) {
    Append(security::NameOf(one), &list);
    list.append("/").append(Hexadecimal(privileges.AttributesOf(one)));
  });
  return list;
}

std::string RestrictingList(const security::SidTable& sids) {
  std::string list;
  for (const security::Sid& sid : sids.all()) Append(security::SidText(sid).view(), &list);
  return list;
}

}  // namespace

Fault ReadEnvironment(const void* block, bool wide, std::vector<std::string>* variables) {
  if (block != nullptr) {
    return wide ? ReadBlock<WCHAR>(block, variables) : ReadBlock<CHAR>(block, variables);
  }
  ReadOwn(variables);
  return Fault::kNone;
}

void AddIdentity(const security::TokenState& state, std::vector<std::string>* variables) {
  const security::TokenIdentity& identity = state.identity();
  Add("USER", security::SidText(state.user()).view(), variables);
  const std::string user_attributes = Hexadecimal(state.attributes(0));
  if (state.attributes(0) != 0) Add("USER_ATTRIBUTES", user_attributes, variables);
  if (identity.logon_session != nullptr && !identity.logon_session->user_name().empty()) {
    Add("NAME", identity.logon_session->user_name(), variables);
  }
  const security::Luid logon = identity.authentication_id;
  Add("LOGON", Hexadecimal(std::uint64_t{static_cast<std::uint32_t>(logon.high)} << 32 | logon.low),
      variables);
  Add("OWNER", security::SidText(state.owner()).view(), variables);
  Add("PRIMARY_GROUP", security::SidText(state.primary_group()).view(), variables);
  Add("GROUPS", GroupList(state), variables);
  Add("PRIVILEGES", PrivilegeList(state.privileges()), variables);
  Add("INTEGRITY",
      security::SidText(security::Sid(security::kLabelAuthority, {state.integrity()})).view(),
      variables);
  if (identity.restricting) {
    Add(state.write_restricted() ? "WRITE_RESTRICTING" : "RESTRICTING",
        RestrictingList(*identity.restricting), variables);
  }
}

}  // namespace ktlsim::authorization
