#include "kernel_sim/accounts/directory_editor.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cstddef>
#include <memory>

#include <fmt/format.h>

#include "kernel_sim/accounts/directory.h"
#include "kernel_sim/base/characters.h"

namespace ktlsim::accounts {
namespace {

// Where the line `number`, from 1, begins.
std::size_t LineBegin(std::string_view text, std::size_t number) {
  std::size_t at = 0;
  for (std::size_t i = 1; i < number && at != std::string_view::npos; ++i) {
    at = text.find('\n', at);
    if (at != std::string_view::npos) ++at;
  }
  return at;
}

const toml::table* FindTable(const toml::table& top, std::string_view name) {
  const toml::array* const accounts = top["account"].as_array();
  if (accounts == nullptr) return nullptr;
  for (const toml::node& one : *accounts) {
    const toml::table* const table = one.as_table();
    const std::optional<std::string_view> its = (*table)["name"].value<std::string_view>();
    if (its && EqualsIgnoringCase(*its, name)) return table;
  }
  return nullptr;
}

// False: the password does not stand in the file as TOML's parser gives it, with escapes for
// example.
bool Replace(const toml::table& account, const std::string& hash, std::string* text) {
  const toml::node* const password = account.get("password");
  const toml::node& beside = password != nullptr ? *password : *account.get("name");
  const std::size_t line = LineBegin(*text, beside.source().begin.line);
  if (line == std::string::npos) return false;
  if (password == nullptr) {
    text->insert(line, "password = \"" + hash + "\"\n");
    return true;
  }
  const std::string old = password->value_or(std::string());
  const std::size_t at = text->find(old, line);
  if (at == std::string::npos) return false;
  text->replace(at, old.size(), hash);
  return true;
}

// What was changed by its text is read again: exactly one password is another one.
std::string CheckChange(const std::string& file, const Directory& before, std::string_view name,
                        const PasswordHash& hash, const std::string& after_text) {
  std::string by_hand =
      fmt::format("{}: it cannot be changed here; write the password of \"{}\" by hand: {}", file,
                  name, hash.Text());
  std::string error;
  const std::shared_ptr<const Directory> after = Directory::Parse(after_text, file, &error);
  if (after == nullptr) return by_hand;
  std::size_t others = 0;
  for (const Account& account : before.accounts()) {
    const Account* const now = after->FindByName(account.name);
    if (now == nullptr) return by_hand;
    if (EqualsIgnoringCase(account.name, name)) continue;
    const bool same = now->password.has_value() == account.password.has_value() &&
                      (!now->password || now->password->Text() == account.password->Text());
    if (!same) return by_hand;
    ++others;
  }
  const Account* const changed = after->FindByName(name);
  const bool good = changed != nullptr && changed->password &&
                    changed->password->Text() == hash.Text() &&
                    after->accounts().size() == others + 1;
  return good ? std::string() : by_hand;
}

// Writes `unix-user = value` in the place of the line that has it, or above the account's name.
// False: it stands with something else in one line, or is not written on one.
bool ReplaceUnixUser(const toml::table& account, const std::string& value, std::string* text) {
  const toml::node* const old = account.get("unix-user");
  const toml::node& beside = old != nullptr ? *old : *account.get("name");
  const std::size_t begin = LineBegin(*text, beside.source().begin.line);
  if (begin == std::string::npos) return false;
  const std::string line = fmt::format("unix-user = {}\n", value);
  if (old == nullptr) {
    text->insert(begin, line);
    return true;
  }
  const std::size_t end = std::min(text->find('\n', begin), text->size() - 1) + 1;
  const std::string_view before = std::string_view(*text).substr(begin, end - begin);
  if (!before.starts_with("unix-user") || before.find('#') != std::string_view::npos) return false;
  text->replace(begin, end - begin, line);
  return true;
}

// What was changed by its text is read again: exactly one Unix user may be another one.
bool IsTheOnlyChange(const Directory& before, const Directory& after, std::string_view name) {
  const auto same = [&](const Account& one) {
    const Account* const now = after.FindByName(one.name);
    if (now == nullptr || now->password.has_value() != one.password.has_value()) return false;
    if (one.password && now->password->Text() != one.password->Text()) return false;
    return EqualsIgnoringCase(one.name, name) ? now->unix_identity.has_value()
                                              : now->unix_identity == one.unix_identity;
  };
  return after.accounts().size() == before.accounts().size() &&
         std::ranges::all_of(before.accounts(), same);
}

// As TOML has it. Empty: it is no name of a user.
std::string UnixUserValue(std::string_view unix_user) {
  if (unix_user.empty() || unix_user.size() > 256) return {};
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  // TOML has no number with a zero in front.
  if (std::ranges::all_of(unix_user, digit) && unix_user[0] != '0') return std::string(unix_user);
  const auto bad = [](char c) { return IsControl(c) || c == '"' || c == '\\' || c == '\t'; };
  if (std::ranges::any_of(unix_user, bad)) return {};
  return fmt::format("\"{}\"", unix_user);
}

}  // namespace

std::string SetUnixUser(const std::string& file, std::string_view name, std::string_view unix_user,
                        std::string* text) {
  const std::string value = UnixUserValue(unix_user);
  if (value.empty()) return "the Unix user is no name; write one that the system has, or a number";
  std::string error;
  const std::shared_ptr<const Directory> before = Directory::Parse(*text, file, &error);
  if (before == nullptr) return error;
  if (before->FindByName(name) == nullptr) {
    return fmt::format("{} has no account \"{}\"; `ktlsim accounts add` makes one", file, name);
  }
  const toml::table top = toml::parse(std::string_view(*text), std::string_view(file));
  const toml::table* const account = FindTable(top, name);
  std::string changed = *text;
  if (account == nullptr || !ReplaceUnixUser(*account, value, &changed)) {
    return fmt::format("{}: it cannot be changed here; write by hand for \"{}\": unix-user = {}",
                       file, name, value);
  }
  const std::shared_ptr<const Directory> after = Directory::Parse(changed, file, &error);
  if (after == nullptr) return error;
  if (!IsTheOnlyChange(*before, *after, name)) {
    return fmt::format("{}: it cannot be changed here; write by hand for \"{}\": unix-user = {}",
                       file, name, value);
  }
  text->swap(changed);
  return {};
}

std::string SetPassword(const std::string& file, std::string_view name, const PasswordHash& hash,
                        std::string* text) {
  std::string error;
  const std::shared_ptr<const Directory> before = Directory::Parse(*text, file, &error);
  if (before == nullptr) return error;
  if (before->FindByName(name) == nullptr) {
    return fmt::format("{} has no account \"{}\"; `ktlsim accounts add` makes one", file, name);
  }
  const toml::table top = toml::parse(std::string_view(*text), std::string_view(file));
  const toml::table* const account = FindTable(top, name);
  std::string changed = *text;
  if (account != nullptr) static_cast<void>(Replace(*account, hash.Text(), &changed));
  error = CheckChange(file, *before, name, hash, changed);
  if (error.empty()) text->swap(changed);
  return error;
}

std::string AddAccount(const std::string& file, std::string_view name, const PasswordHash& hash,
                       std::string* text) {
  std::string error;
  const std::shared_ptr<const Directory> before = Directory::Parse(*text, file, &error);
  if (before == nullptr) return error;
  if (before->FindByName(name) != nullptr) {
    return fmt::format("{} has an account \"{}\"; `ktlsim accounts passwd` changes its password",
                       file, name);
  }
  std::string changed = *text;
  if (!changed.empty()) changed += changed.ends_with('\n') ? "\n" : "\n\n";
  changed += fmt::format("[[account]]\nname = \"{}\"\npassword = \"{}\"\n", name, hash.Text());
  // A name that cannot be one is told as a mistake of the new text.
  if (Directory::Parse(changed, file, &error) == nullptr) return error;
  error = CheckChange(file, *before, name, hash, changed);
  if (error.empty()) text->swap(changed);
  return error;
}

}  // namespace ktlsim::accounts
