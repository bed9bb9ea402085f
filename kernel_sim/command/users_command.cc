// `ktlsim users`: the file of accounts for Digest authentication.

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "kernel_sim/base/file.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/password_input.h"
#include "kernel_sim/command/values.h"
#include "kernel_sim/digest/account_file.h"
#include "kernel_sim/digest/calculation.h"
#include "kernel_sim/digest/charset.h"

namespace ktlsim::command {
namespace {

using digest::Account;
using digest::AccountFault;
using digest::AccountFile;
using digest::HashId;

enum class Action : std::uint8_t { kAdd, kRemove, kCheck, kList };

constexpr std::array kActionWords = {
    Word<Action>{"add", Action::kAdd}, Word<Action>{"remove", Action::kRemove},
    Word<Action>{"check", Action::kCheck}, Word<Action>{"list", Action::kList}};
constexpr std::array kHashWords = {Word<HashId>{"md5", HashId::kMd5},
                                   Word<HashId>{"sha-256", HashId::kSha256},
                                   Word<HashId>{"sha-512-256", HashId::kSha512256}};

struct UsersOptions {
  std::string action;
  std::string file;
  std::string user;
  std::string realm;
  std::string algorithms;
};

int Fail(const std::string& why, int code = kExitUsage) {
  fmt::print(stderr, "ktlsim users: {}\n", why);
  return code;
}

std::string ParseHashes(std::string_view text, std::vector<HashId>* hashes) {
  for (;;) {
    const std::size_t comma = text.find(',');
    HashId hash = HashId::kMd5;
    std::string wrong = ParseWord(text.substr(0, comma), kHashWords, &hash);
    if (!wrong.empty()) return wrong;
    hashes->push_back(hash);
    if (comma == std::string_view::npos) return {};
    text.remove_prefix(comma + 1);
  }
}

// What a name or a realm must be to stand in a line of the file.
std::string CheckField(std::string_view text, std::string_view what) {
  const bool control = std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (control || text.find(':') != std::string_view::npos || !digest::IsUtf8(text)) {
    return fmt::format("\"{}\": {} is UTF-8 without colons and control characters", Printable(text),
                       what);
  }
  return {};
}

std::string CheckUser(std::string_view user) {
  if (user.empty()) return "a user is needed: ktlsim users ACTION FILE USER";
  if (user.front() == '#') {
    return fmt::format("\"{}\": a line that begins with # is a comment, so no name does",
                       Printable(user));
  }
  return CheckField(user, "a user's name");
}

std::string WhyNotEdited(const std::string& file, const Status& status, const AccountFault& fault) {
  if (fault.line != 0) {
    return fmt::format(
        "{}: line {}: {}; correct or remove it: a line is user:realm:hash, or "
        "SHA-256:user:realm:hash",
        Printable(file), fault.line, fault.why);
  }
  return fmt::format("{}: {}", Printable(file), status.ToString());
}

// `missing`, if not null: a file that does not exist is an empty one, and this says so.
std::string LoadFile(const std::string& path, AccountFile* file, bool* missing = nullptr) {
  const Result<FileText> read = ReadFile(path.c_str(), digest::kAccountFileBytesMax);
  AccountFault fault;
  if (!read.ok()) {
    const bool absent = read.status().category() == Category::kIo && read.status().code() == ENOENT;
    if (missing != nullptr) *missing = absent;
    if (absent && missing != nullptr) return {};
    return WhyNotEdited(path, read.status(), fault);
  }
  if (!file->Parse(read->text(), &fault)) return WhyNotEdited(path, {}, fault);
  return {};
}

// The realms of the file; with a user, those in which it has an account.
std::set<std::string> RealmsOf(const AccountFile& file, std::string_view user) {
  std::set<std::string> realms;
  file.ForEach([&](const Account& account) {
    if (user.empty() || account.user == user) realms.emplace(account.realm);
  });
  return realms;
}

std::string Joined(const std::set<std::string>& names) {
  std::string all;
  for (const std::string& name : names) {
    all += fmt::format("{}\"{}\"", all.empty() ? "" : ", ", Printable(name));
  }
  return all;
}

// The realm that is meant where none was said.
std::string ChooseRealm(const AccountFile& file, std::string_view user, const std::string& path,
                        std::string* realm) {
  const std::set<std::string> realms = RealmsOf(file, user);
  if (realms.size() == 1) {
    *realm = *realms.begin();
    return {};
  }
  if (!realms.empty()) return fmt::format("--realm: say which one of {}", Joined(realms));
  if (user.empty()) return "--realm: say for which one; it is the server's --digest-realm";
  return fmt::format("{} has no user \"{}\"; `ktlsim users list {}` shows its users",
                     Printable(path), Printable(user), Printable(path));
}

// ---- add, remove

bool HashPassword(const UsersOptions& options, HashId id, const Password& password,
                  digest::HashValue* hash) {
  digest::Hasher hasher(id);
  return digest::ComputeAccountHash(hasher, options.user, options.realm, password.text(), hash);
}

// Takes the place of all lines that the account has: none with an older password is left.
std::string SetAccount(const UsersOptions& options, const std::vector<HashId>& hashes,
                       const Password& password, AccountFile& file, bool* replaced) {
  *replaced = file.Remove(options.user, options.realm) != 0;
  for (const HashId id : hashes) {
    digest::HashValue hash;
    if (!HashPassword(options, id, password, &hash)) {
      return fmt::format("OpenSSL computes no {} here; choose others with --algorithm",
                         WordOf(id, kHashWords));
    }
    const Account account{
        .hash_id = id, .user = options.user, .realm = options.realm, .hash = hash};
    if (!file.Set(account)) return "user and realm are too long for a line of the file";
  }
  return {};
}

int Add(UsersOptions options) {
  std::vector<HashId> hashes;
  if (std::string wrong = ParseHashes(options.algorithms, &hashes); !wrong.empty()) {
    return Fail("--algorithm: " + wrong);
  }
  // Before anybody types a password in vain.
  AccountFile before;
  bool missing = false;
  std::string wrong = LoadFile(options.file, &before, &missing);
  if (wrong.empty() && options.realm.empty()) {
    wrong = ChooseRealm(before, {}, options.file, &options.realm);
  }
  if (!wrong.empty()) return Fail(wrong);
  Password password;
  wrong =
      ReadPassword(fmt::format("{} in \"{}\"", Printable(options.user), Printable(options.realm)),
                   Asked::kTwice, &password);
  if (!wrong.empty()) return Fail(wrong);
  bool replaced = false;
  AccountFault fault;
  const Status status = digest::EditAccountFile(
      options.file.c_str(),
      [&](AccountFile& file) {
        wrong = SetAccount(options, hashes, password, file, &replaced);
        return wrong.empty();
      },
      &fault);
  if (!wrong.empty()) return Fail(wrong);
  if (!status.ok()) return Fail(WhyNotEdited(options.file, status, fault));
  fmt::print("{} \"{}\" in \"{}\"\n", replaced ? "replaced" : "added", Printable(options.user),
             Printable(options.realm));
  return kExitOk;
}

int Remove(UsersOptions options) {
  std::string wrong;
  std::size_t removed = 0;
  AccountFault fault;
  const Status status = digest::EditAccountFile(
      options.file.c_str(),
      [&](AccountFile& file) {
        if (options.realm.empty()) {
          wrong = ChooseRealm(file, options.user, options.file, &options.realm);
        }
        if (wrong.empty()) removed = file.Remove(options.user, options.realm);
        return removed != 0;
      },
      &fault);
  if (!status.ok()) return Fail(WhyNotEdited(options.file, status, fault));
  if (!wrong.empty()) return Fail(wrong);
  if (removed == 0) {
    return Fail(
        fmt::format("{} has no user \"{}\" in the realm \"{}\"; `ktlsim users list {}` "
                    "shows its users",
                    Printable(options.file), Printable(options.user), Printable(options.realm),
                    Printable(options.file)));
  }
  fmt::print("removed \"{}\" from \"{}\": {} line{}\n", Printable(options.user),
             Printable(options.realm), removed, removed == 1 ? "" : "s");
  return kExitOk;
}

// ---- check, list

// One row of `list`: an account, and the algorithms it has a line for.
struct Row {
  std::string user;
  std::string realm;
  std::string algorithms;
};

std::vector<Row> RowsOf(const AccountFile& file, const std::string& realm) {
  std::vector<Row> rows;
  file.ForEach([&](const Account& account) {
    if (!realm.empty() && account.realm != realm) return;
    auto row = std::ranges::find_if(
        rows, [&](const Row& r) { return r.user == account.user && r.realm == account.realm; });
    if (row == rows.end()) {
      rows.push_back({.user = std::string(account.user),
                      .realm = std::string(account.realm),
                      .algorithms = {}});
      row = rows.end() - 1;
    }
    if (!row->algorithms.empty()) row->algorithms += ",";
    row->algorithms += WordOf(account.hash_id, kHashWords);
  });
  return rows;
}

int List(const UsersOptions& options) {
  AccountFile file;
  if (std::string wrong = LoadFile(options.file, &file); !wrong.empty()) return Fail(wrong);
  const std::vector<Row> rows = RowsOf(file, options.realm);
  std::size_t width = 4;
  for (const Row& row : rows) width = std::max(width, Printable(row.user).size());
  fmt::print("{:<{}}  {:<23}  realm\n", "user", width, "algorithms");
  for (const Row& row : rows) {
    fmt::print("{:<{}}  {:<23}  {}\n", Printable(row.user), width, row.algorithms,
               Printable(row.realm));
  }
  return kExitOk;
}

// The lines of one account that a password is right for, and those that it is not.
struct Verdicts {
  std::string right;
  std::string wrong;
  bool computed = true;
};

Verdicts TryPassword(const AccountFile& file, const UsersOptions& options,
                     const Password& password) {
  Verdicts verdicts;
  file.ForEach([&](const Account& account) {
    if (account.user != options.user || account.realm != options.realm) return;
    digest::HashValue hash;
    if (!HashPassword(options, account.hash_id, password, &hash)) verdicts.computed = false;
    const bool same = digest::ConstantTimeEqual(hash.raw(), account.hash.raw());
    std::string& names = same ? verdicts.right : verdicts.wrong;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", WordOf(account.hash_id, kHashWords));
  });
  return verdicts;
}

int CheckPassword(UsersOptions options, const AccountFile& file) {
  if (options.realm.empty()) {
    const std::string wrong = ChooseRealm(file, options.user, options.file, &options.realm);
    if (!wrong.empty()) return Fail(wrong);
  }
  Password password;
  const std::string wrong = ReadPassword(Printable(options.user), Asked::kOnce, &password);
  if (!wrong.empty()) return Fail(wrong);
  const Verdicts verdicts = TryPassword(file, options, password);
  if (!verdicts.computed) return Fail("OpenSSL computes one of the hashes not here", kExitFailed);
  if (verdicts.right.empty()) {
    return Fail("there is no such user in this realm, or the password is another one", kExitFailed);
  }
  if (!verdicts.wrong.empty()) {
    return Fail(fmt::format("the password is right for {} and not for {}; `ktlsim users add` "
                            "makes all of them the same",
                            verdicts.right, verdicts.wrong),
                kExitFailed);
  }
  fmt::print("the password is right: {}\n", verdicts.right);
  return kExitOk;
}

int Check(const UsersOptions& options) {
  AccountFile file;
  if (std::string wrong = LoadFile(options.file, &file); !wrong.empty()) {
    return Fail(wrong, kExitFailed);
  }
  if (!options.user.empty()) return CheckPassword(options, file);
  struct stat facts{};
  if (stat(options.file.c_str(), &facts) == 0 && (facts.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    fmt::print(stderr,
               "ktlsim users: warning: others may read {}; its hashes open the realm as the "
               "passwords do: chmod go= {}\n",
               Printable(options.file), Printable(options.file));
  }
  const std::size_t users = RowsOf(file, options.realm).size();
  fmt::print("the file is good: {} user{} in {} realm{}, {} line{}\n", users, users == 1 ? "" : "s",
             RealmsOf(file, {}).size(), RealmsOf(file, {}).size() == 1 ? "" : "s", file.size(),
             file.size() == 1 ? "" : "s");
  return kExitOk;
}

int RunUsers(const UsersOptions& options) {
  Action action = Action::kList;
  std::string wrong = ParseWord(options.action, kActionWords, &action);
  if (!wrong.empty()) return Fail(wrong);
  const bool needs_user = action == Action::kAdd || action == Action::kRemove;
  if (needs_user || !options.user.empty()) wrong = CheckUser(options.user);
  if (wrong.empty()) wrong = CheckField(options.realm, "a realm");
  if (wrong.empty() && action == Action::kList && !options.user.empty()) {
    wrong = "list shows all users; give it a file alone";
  }
  if (!wrong.empty()) return Fail(wrong);
  switch (action) {
    case Action::kAdd:
      return Add(options);
    case Action::kRemove:
      return Remove(options);
    case Action::kCheck:
      return Check(options);
    case Action::kList:
      return List(options);
  }
  return kExitUsage;
}

}  // namespace

std::function<int()> AddUsersCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("users", "The file of users for Digest authentication");
  command->group("Commands");
  command->footer(
      "The password is typed at the terminal, or is the first line of standard input. The file is "
      "that of Apache's htdigest, with further lines for other algorithms than MD5; it is replaced "
      "in one step. A server reads it again on SIGHUP.\n\nExample: ktlsim users add users.txt "
      "alice --realm staff");
  auto options = std::make_shared<UsersOptions>();
  options->algorithms = "md5,sha-256,sha-512-256";
  command
      ->add_option("ACTION", options->action,
                   "add: a user, or another password for one; remove: a user; check: the file, or "
                   "with USER a password; list: all users")
      ->type_name("")
      ->required();
  command->add_option("FILE", options->file, "The file of users; add makes one")
      ->type_name("")
      ->required();
  command->add_option("USER", options->user, "The user's name")->type_name("");
  command
      ->add_option("--realm", options->realm,
                   "The server's --digest-realm. It can be left out where the file has one only, "
                   "or the user is in one only")
      ->type_name("REALM");
  command
      ->add_option(
          "--algorithm", options->algorithms,
          "With add: a line for each of md5, sha-256, sha-512-256; older lines of the user "
          "go [all three]")
      ->type_name("LIST");
  return [options] { return RunUsers(*options); };
}

}  // namespace ktlsim::command
