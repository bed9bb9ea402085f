// Whom `ktlsim access check` asks about: a token, from options or a file.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/security/token.h"

namespace ktlsim::command {

// As a person writes it: SIDs and names of SDDL, names of privileges.
struct SubjectText {
  std::string user = {};
  std::vector<std::string> groups = {};
  std::vector<std::string> deny_only = {};
  std::vector<std::string> disabled = {};
  std::vector<std::string> privileges = {};  // enabled
  std::vector<std::string> restricting = {};
  bool write_restricted = false;
  std::string integrity = "medium";
};

// Reads a TOML text with the keys user, groups, deny-only, disabled, privileges, restricting,
// write-restricted and integrity. Empty: done; else what is wrong, and the line.
std::string ParseSubject(std::string_view text, SubjectText* subject);

// Empty: done; else what is wrong.
std::string MakeSubject(const SubjectText& text, const std::optional<security::Sid>& domain,
                        security::TokenStateRef* token);

}  // namespace ktlsim::command
