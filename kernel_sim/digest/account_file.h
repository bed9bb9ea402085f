// AccountFile: the accounts of a server as the text of an htdigest file.
//
//   user:realm:0123...             MD5, as Apache's htdigest writes it
//   SHA-256:user:realm:0123...     one line for each algorithm that the account can use
//   SHA-512-256:user:realm:0123...
//
// The last field is H(user:realm:password) in hexadecimal digits. Empty lines and those that begin
// with # are kept and have no meaning.
//
// What a newcomer gets wrong: the file holds no password, but what it holds opens every door of its
// realm just the same. So it is wiped in memory, and no message shows a line.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel_sim/base/status.h"
#include "kernel_sim/digest/hash.h"

namespace ktlsim::digest {

inline constexpr std::size_t kAccountFileBytesMax = std::size_t{64} << 20;
inline constexpr std::size_t kAccountLineBytesMax = 4096;

// One line. The texts view the file.
struct Account {
  HashId hash_id = HashId::kMd5;
  std::string_view user;
  std::string_view realm;
  HashValue hash;
};

// Where a text is no file of accounts.
struct AccountFault {
  std::size_t line = 0;  // from 1; 0: there is none
  const char* why = "";  // in words
};

// One thread at a time; any level, but it allocates.
class AccountFile {
 public:
  AccountFile() = default;
  AccountFile(AccountFile&& other) noexcept { *this = std::move(other); }
  AccountFile& operator=(AccountFile&& other) noexcept;
  ~AccountFile();

  // False: *fault tells the first line that cannot be, and *this is empty. A user has at most one
  // line for each realm and algorithm.
  bool Parse(std::string_view text, AccountFault* fault);

  // Adds the line, or gives it another hash. False: the name or the realm cannot stand in a line:
  // empty user, a colon, a control character, too long, or a # in front.
  bool Set(const Account& account);
  // Removes the lines of all algorithms; returns how many.
  std::size_t Remove(std::string_view user, std::string_view realm);

  // Calls `visit` with each account, in the order of the file.
  void ForEach(const std::function<void(const Account&)>& visit) const;
  std::size_t size() const { return accounts_; }

  // The file's text, each line with its end.
  std::string Text() const;

 private:
  std::string* Find(const Account& like);
  bool HasDuplicate(AccountFault* fault) const;
  void Clear();

  std::vector<std::string> lines_;
  std::size_t accounts_ = 0;
};

// Reads the file `path`, calls `edit`, and replaces the file in one step if `edit` returns true. A
// file that does not exist is an empty one, and is created with mode 0600. Two that edit one folder
// at the same time: the later one is refused, and has changed nothing.
//
// kContract: no file of accounts (*fault says where), or another is editing. kIo: the system
// refuses. Passive level, any thread.
Status EditAccountFile(const char* path, const std::function<bool(AccountFile&)>& edit,
                       AccountFault* fault);

}  // namespace ktlsim::digest
