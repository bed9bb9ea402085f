// `ktlsim accounts`: the directory of accounts and mapping rules.

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "kernel_sim/accounts/certificate_facts.h"
#include "kernel_sim/accounts/directory.h"
#include "kernel_sim/accounts/directory_editor.h"
#include "kernel_sim/accounts/directory_store.h"
#include "kernel_sim/base/descriptor.h"
#include "kernel_sim/base/file.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/password_input.h"
#include "kernel_sim/command/values.h"
#include "kernel_sim/digest/hash.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::command {
namespace {

using accounts::Account;
using accounts::Directory;
using accounts::PasswordHash;

enum class AccountsAction : std::uint8_t { kAdd, kPasswd, kUnix, kCheck, kList, kKey };

constexpr std::array kAccountsWords = {Word<AccountsAction>{"add", AccountsAction::kAdd},
                                       Word<AccountsAction>{"passwd", AccountsAction::kPasswd},
                                       Word<AccountsAction>{"unix", AccountsAction::kUnix},
                                       Word<AccountsAction>{"check", AccountsAction::kCheck},
                                       Word<AccountsAction>{"list", AccountsAction::kList},
                                       Word<AccountsAction>{"key", AccountsAction::kKey}};

struct AccountsOptions {
  std::string action;
  std::string file;
  std::string user;
  std::string unix_user;
};

int FailAccounts(const std::string& why, int code = kExitUsage) {
  fmt::print(stderr, "ktlsim accounts: {}\n", why);
  return code;
}

// Null: *wrong says why.
std::shared_ptr<const Directory> LoadDirectory(const std::string& path, std::string* wrong) {
  accounts::DirectoryStore store;
  *wrong = store.Load(path);
  return store.snapshot().directory;
}

// ---- add, passwd

std::string MakeHash(const AccountsOptions& options, PasswordHash* hash) {
  Password password;
  std::string wrong = ReadPassword(Printable(options.user), Asked::kTwice, &password);
  if (!wrong.empty()) return wrong;
  std::array<std::uint8_t, 16> salt{};
  if (!digest::FillRandom(salt)) return "the system has no randomness";
  const bool made = PasswordHash::Make(accounts::SecretText(password.text()),
                                       accounts::PasswordCost(), salt, hash);
  return made ? std::string() : "no memory for the hash, which takes 64 MiB";
}

// The change of the file's text. Empty: *text is the new one.
using Change = std::function<std::string(std::string* text)>;

Change ChangeOf(const AccountsOptions& options, AccountsAction action, std::string* wrong) {
  if (action == AccountsAction::kUnix) {
    return [&options](std::string* text) {
      return accounts::SetUnixUser(options.file, options.user, options.unix_user, text);
    };
  }
  auto hash = std::make_shared<PasswordHash>();
  *wrong = MakeHash(options, hash.get());
  const auto change = action == AccountsAction::kAdd ? accounts::AddAccount : accounts::SetPassword;
  return [&options, hash, change](std::string* text) {
    return change(options.file, options.user, *hash, text);
  };
}

const char* DoneWords(AccountsAction action) {
  if (action == AccountsAction::kAdd) return "added";
  return action == AccountsAction::kUnix ? "changed the Unix user of" : "changed the password of";
}

int Edit(const AccountsOptions& options, AccountsAction action) {
  if (options.user.empty() || (action == AccountsAction::kUnix && options.unix_user.empty())) {
    return FailAccounts(action == AccountsAction::kUnix
                            ? "two users are needed: ktlsim accounts unix FILE USER UNIX-USER"
                            : "a user is needed: ktlsim accounts ACTION FILE USER");
  }
  std::string wrong;
  const Change change = ChangeOf(options, action, &wrong);
  if (!wrong.empty()) return FailAccounts(wrong);
  const Result<int> locked = LockFolderOf(options.file.c_str());
  if (!locked.ok()) return FailAccounts(options.file + ": " + locked.status().ToString());
  const Descriptor lock(locked.value());
  std::string text;
  const Result<FileText> read = ReadFile(options.file.c_str(), accounts::kDirectoryBytesMax);
  const bool missing = !read.ok() && read.status().category() == Category::kIo &&
                       read.status().code() == ENOENT && action == AccountsAction::kAdd;
  if (!read.ok() && !missing) {
    return FailAccounts(options.file + ": " + read.status().ToString());
  }
  if (!missing) text = read->text();
  wrong = change(&text);
  if (!wrong.empty()) return FailAccounts(wrong);
  constexpr mode_t kNewFileMode = 0600;
  const Status status = ReplaceFile(options.file.c_str(), text, kNewFileMode);
  if (!status.ok()) return FailAccounts(options.file + ": " + status.ToString());
  fmt::print("{} \"{}\"\n", DoneWords(action), Printable(options.user));
  return kExitOk;
}

// ---- check, list

int CheckAccountPassword(const AccountsOptions& options, const Directory& directory) {
  const Account* const account = directory.FindForLogon(options.user, "");
  Password password;
  const std::string wrong = ReadPassword(Printable(options.user), Asked::kOnce, &password);
  if (!wrong.empty()) return FailAccounts(wrong);
  if (account == nullptr) return FailAccounts("there is no such account", kExitFailed);
  if (!account->password) return FailAccounts("the account has no `password`", kExitFailed);
  switch (account->password->Verify(accounts::SecretText(password.text()))) {
    case accounts::PasswordMatch::kRight:
      fmt::print("the password is right{}\n",
                 account->disabled ? ", and the account disabled" : "");
      return kExitOk;
    case accounts::PasswordMatch::kWrong:
      return FailAccounts("the password is another one", kExitFailed);
    case accounts::PasswordMatch::kNoMemory:
      break;
  }
  return FailAccounts("no memory for the hash", kExitFailed);
}

int CheckAccounts(const AccountsOptions& options) {
  std::string wrong;
  const std::shared_ptr<const Directory> directory = LoadDirectory(options.file, &wrong);
  if (directory == nullptr) return FailAccounts(wrong, kExitFailed);
  if (!options.user.empty()) return CheckAccountPassword(options, *directory);
  struct stat facts{};
  if (stat(options.file.c_str(), &facts) == 0 && (facts.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    fmt::print(stderr,
               "ktlsim accounts: warning: others may read {}; passwords can be guessed from its "
               "hashes: chmod go= {}\n",
               Printable(options.file), Printable(options.file));
  }
  const auto counted = [](std::size_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  fmt::print("the file is good: domain {}, {}, {}, {}\n", Printable(directory->domain()),
             counted(directory->accounts().size(), "account"),
             counted(directory->groups().size(), "group"),
             counted(directory->rules(), "certificate rule"));
  return kExitOk;
}

std::string RemarksOf(const Account& account) {
  std::string remarks;
  const auto add = [&](bool is, const char* word) {
    if (is) remarks.append(remarks.empty() ? "" : ", ").append(word);
  };
  add(account.disabled, "disabled");
  add(account.locked, "locked");
  add(account.expires != accounts::kNever, "expires");
  add(!account.password && account.digest.empty(), "no password");
  add(account.unix_identity.has_value(), "Unix identity");
  return remarks;
}

int ListAccounts(const AccountsOptions& options) {
  std::string wrong;
  const std::shared_ptr<const Directory> directory = LoadDirectory(options.file, &wrong);
  if (directory == nullptr) return FailAccounts(wrong);
  fmt::print("{:<24}  {:<46}  remarks\n", "account", "SID");
  for (const Account& account : directory->accounts()) {
    fmt::print("{:<24}  {:<46}  {}\n", Printable(account.name),
               security::SidText(account.sid).view(), RemarksOf(account));
  }
  return kExitOk;
}

// ---- key

int ShowKey(const AccountsOptions& options) {
  const Result<FileText> pem = ReadFile(options.file.c_str(), accounts::kCertificateBytesMax);
  if (!pem.ok()) return FailAccounts(options.file + ": " + pem.status().ToString());
  accounts::CertificateFacts facts;
  if (accounts::ReadPemCertificate(pem->text(), &facts) != accounts::CertificateRead::kDone) {
    return FailAccounts(options.file +
                            ": no certificate in PEM, or one that is nobody's: a name in it is "
                            "malformed, or there are too many",
                        kExitFailed);
  }
  fmt::print("subject-key = \"{}\"\nserial = \"{}\"\n", accounts::KeyIdText(facts.key),
             facts.serial);
  for (const std::string& upn : facts.upns) fmt::print("upn = \"{}\"\n", Printable(upn));
  for (const std::string& email : facts.emails) fmt::print("email = \"{}\"\n", Printable(email));
  return kExitOk;
}

int RunAccounts(const AccountsOptions& options) {
  AccountsAction action = AccountsAction::kList;
  const std::string wrong = ParseWord(options.action, kAccountsWords, &action);
  if (!wrong.empty()) return FailAccounts(wrong);
  switch (action) {
    case AccountsAction::kAdd:
    case AccountsAction::kPasswd:
    case AccountsAction::kUnix:
      return Edit(options, action);
    case AccountsAction::kCheck:
      return CheckAccounts(options);
    case AccountsAction::kList:
      return ListAccounts(options);
    case AccountsAction::kKey:
      return ShowKey(options);
  }
  return kExitUsage;
}

}  // namespace

std::function<int()> AddAccountsCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("accounts", "The directory of accounts and mapping rules");
  command->group("Commands");
  command->footer(
      "The password is typed at the terminal, or is the first line of standard input. The file is "
      "TOML; what is written in it by hand, comments too, stays as it is.\n\nExample: ktlsim "
      "accounts add accounts.toml alice");
  auto options = std::make_shared<AccountsOptions>();
  command
      ->add_option("ACTION", options->action,
                   "add: an account; passwd: another password; unix: whose Unix rights a server "
                   "with --impersonate-os gives it; check: the file, or with USER a "
                   "password; list: all accounts; key: what mapping rules call the certificate in "
                   "the PEM file FILE, and with an authority's, those that it issues")
      ->type_name("")
      ->required();
  command->add_option("FILE", options->file, "The file of accounts; add makes one")
      ->type_name("")
      ->required();
  command->add_option("USER", options->user, "The account's name")->type_name("");
  command
      ->add_option(
          "UNIX-USER", options->unix_user,
          "With unix: a user of the system, or a number; the groups are the file's, or else "
          "the system's")
      ->type_name("");
  return [options] { return RunAccounts(*options); };
}

}  // namespace ktlsim::command
