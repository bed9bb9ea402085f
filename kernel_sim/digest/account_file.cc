#include "kernel_sim/digest/account_file.h"

#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <utility>

#include <openssl/crypto.h>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/base/descriptor.h"
#include "kernel_sim/base/file.h"
#include "kernel_sim/digest/algorithm.h"

namespace ktlsim::digest {
namespace {

constexpr mode_t kNewFileMode = 0600;

void Wipe(std::string& text) { OPENSSL_cleanse(text.data(), text.size()); }

// What stands in front of a line; nothing for MD5.
std::string_view PrefixOf(HashId id) {
  switch (id) {
    case HashId::kMd5:
      return "";
    case HashId::kSha256:
      return NameOf(Algorithm::kSha256);
    case HashId::kSha512256:
      return NameOf(Algorithm::kSha512256);
  }
  return "";
}

bool IsField(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return c == ':' || c == '\t' || IsControl(c); });
}

bool HasNoMeaning(std::string_view line) { return line.empty() || line.front() == '#'; }

// Null: the line is an account. Otherwise why it is none.
const char* ParseLine(std::string_view line, Account* out) {
  if (line.size() > kAccountLineBytesMax) return "the line is too long";
  std::string_view fields[4];
  std::size_t count = 0;
  for (std::string_view rest = line;;) {
    if (count == 4) return "the line has too many fields";
    const std::size_t colon = rest.find(':');
    fields[count++] = rest.substr(0, colon);
    if (!IsField(fields[count - 1])) return "a control character";
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  if (count < 3) return "the line is not user:realm:hash";
  out->hash_id = HashId::kMd5;
  if (count == 4) {
    if (fields[0] == PrefixOf(HashId::kSha256)) {
      out->hash_id = HashId::kSha256;
    } else if (fields[0] == PrefixOf(HashId::kSha512256)) {
      out->hash_id = HashId::kSha512256;
    } else {
      return "the line begins with an unknown algorithm";
    }
  }
  out->user = fields[count - 3];
  out->realm = fields[count - 2];
  if (out->user.empty()) return "the user has no name";
  if (!ParseHex(fields[count - 1], out->hash_id, &out->hash)) {
    return "the hash does not have the digits of its algorithm";
  }
  return nullptr;
}

std::string LineOf(const Account& account) {
  const std::string_view prefix = PrefixOf(account.hash_id);
  const HexText digits(account.hash);
  std::string line;
  line.reserve(prefix.size() + account.user.size() + account.realm.size() + 3 + 64);
  if (!prefix.empty()) line.append(prefix).append(":");
  line.append(account.user).append(":").append(account.realm).append(":").append(digits.view());
  return line;
}

// What tells two accounts apart: all of the line but the hash.
std::string_view KeyOf(std::string_view line) { return line.substr(0, line.rfind(':')); }

}  // namespace

AccountFile::~AccountFile() { Clear(); }

AccountFile& AccountFile::operator=(AccountFile&& other) noexcept {
  std::swap(lines_, other.lines_);
  std::swap(accounts_, other.accounts_);
  return *this;
}

void AccountFile::Clear() {
  for (std::string& line : lines_) Wipe(line);
  lines_.clear();
  accounts_ = 0;
}

bool AccountFile::Parse(std::string_view text, AccountFault* fault) {
  Clear();
  *fault = {};
  while (!text.empty() && fault->line == 0) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines_.emplace_back(line);
    if (HasNoMeaning(line)) continue;
    Account account;
    const char* const why = ParseLine(line, &account);
    if (why != nullptr) *fault = {.line = lines_.size(), .why = why};
    ++accounts_;
  }
  if (fault->line == 0 && !HasDuplicate(fault)) return true;
  Clear();
  return false;
}

bool AccountFile::HasDuplicate(AccountFault* fault) const {
  std::unordered_map<std::string_view, std::size_t> seen;
  seen.reserve(lines_.size());
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    if (HasNoMeaning(lines_[i]) || seen.emplace(KeyOf(lines_[i]), i).second) continue;
    *fault = {.line = i + 1, .why = "the user has another line for this realm and algorithm"};
    return true;
  }
  return false;
}

std::string* AccountFile::Find(const Account& like) {
  const std::string wanted = LineOf(like);
  for (std::string& line : lines_) {
    if (!HasNoMeaning(line) && KeyOf(line) == KeyOf(wanted)) return &line;
  }
  return nullptr;
}

bool AccountFile::Set(const Account& account) {
  std::string line = LineOf(account);
  Account read;
  const bool good = IsField(account.user) && IsField(account.realm) && !HasNoMeaning(line) &&
                    ParseLine(line, &read) == nullptr;
  if (!good) {
    Wipe(line);
    return false;
  }
  std::string* const found = Find(account);
  if (found == nullptr) {
    lines_.push_back(std::move(line));
    ++accounts_;
    return true;
  }
  std::swap(*found, line);
  Wipe(line);
  return true;
}

std::size_t AccountFile::Remove(std::string_view user, std::string_view realm) {
  const auto is_other = [&](const std::string& line) {
    Account account;
    return HasNoMeaning(line) || ParseLine(line, &account) != nullptr || account.user != user ||
           account.realm != realm;
  };
  // What stays keeps its order; what goes is swapped behind it.
  std::size_t kept = 0;
  for (std::string& line : lines_) {
    if (is_other(line)) std::swap(lines_[kept++], line);
  }
  const std::size_t removed = lines_.size() - kept;
  for (std::size_t i = kept; i < lines_.size(); ++i) Wipe(lines_[i]);
  lines_.resize(kept);
  accounts_ -= removed;
  return removed;
}

void AccountFile::ForEach(const std::function<void(const Account&)>& visit) const {
  for (const std::string& line : lines_) {
    Account account;
    if (!HasNoMeaning(line) && ParseLine(line, &account) == nullptr) visit(account);
  }
}

std::string AccountFile::Text() const {
  std::size_t bytes = 0;
  for (const std::string& line : lines_) bytes += line.size() + 1;
  std::string text;
  text.reserve(bytes);  // at once: a block that grows leaves copies behind
  for (const std::string& line : lines_) text.append(line).append("\n");
  return text;
}

Status EditAccountFile(const char* path, const std::function<bool(AccountFile&)>& edit,
                       AccountFault* fault) {
  *fault = {};
  const Result<int> locked = LockFolderOf(path);
  if (!locked.ok()) return locked.status();
  const Descriptor lock(locked.value());
  AccountFile file;
  Result<FileText> read = ReadFile(path, kAccountFileBytesMax);
  const bool missing =
      !read.ok() && read.status().category() == Category::kIo && read.status().code() == ENOENT;
  if (!read.ok() && !missing) return read.status();
  if (read.ok() && !file.Parse(read->text(), fault)) {
    return {Category::kContract, 0, "the file is no file of accounts"};
  }
  if (!edit(file)) return {};
  std::string text = file.Text();
  const Status status = ReplaceFile(path, text, kNewFileMode);
  Wipe(text);
  return status;
}

}  // namespace ktlsim::digest
