// Accounts: the accounts of a server as they are looked up, and the verification of a response.
//
// What a newcomer gets wrong: nothing here ends early. A user that does not exist is looked up,
// hashed and compared like one that does, with a secret that nobody knows, so that neither the
// outcome nor the time says which names exist. Tests count the operations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/status.h"
#include "kernel_sim/digest/account_file.h"
#include "kernel_sim/digest/algorithm.h"
#include "kernel_sim/digest/calculation.h"

namespace ktlsim::digest {

// How much work an attempt was.
struct Operations {
  unsigned look_ups = 0;
  unsigned steps = 0;  // of the look-up
  unsigned hashes = 0;
  unsigned compares = 0;

  friend constexpr bool operator==(const Operations&, const Operations&) = default;
};

// What a client says it is.
struct AccountName {
  HashId hash_id = HashId::kMd5;
  std::string_view username;
  bool username_hashed = false;  // `username` is the hexadecimal H(username:realm)
  std::string_view realm;
};

// All accounts, as they were when they were read. Immutable: any thread at once, any level.
class Accounts {
 public:
  ~Accounts();
  Accounts(const Accounts&) = delete;
  Accounts& operator=(const Accounts&) = delete;

  // With `hashed_names` an account is also found by its hashed username; that doubles the entries.
  // Null: no randomness or no memory for a hash.
  static std::shared_ptr<const Accounts> Build(const AccountFile& file, bool hashed_names);

  // Writes the hash of the account, or one that no password has. False: there is no such account;
  // whoever does not verify a response with the hash all the same tells who exists. Empty: OpenSSL
  // refuses, for want of memory, and nothing is known.
  std::optional<bool> Find(const AccountName& name, HashValue* account_hash,
                           Operations* operations) const;

  // How many entries there are.
  std::size_t size() const { return entries_.size() - 1; }

 private:
  // A name under a key of this process: all names are as long, and nobody can choose names that
  // collide.
  struct Id {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    // Without a branch: one that depends on equality takes longer for a name that exists.
    bool IsBelow(const Id& other) const {
      const unsigned below = high < other.high ? 1 : 0;
      const unsigned same = high == other.high ? 1 : 0;
      const unsigned low_below = low < other.low ? 1 : 0;
      return (below | (same & low_below)) != 0;
    }
  };
  struct Entry {
    Id id;
    std::array<std::uint8_t, kHashBytesMax> hash{};
  };

  Accounts() = default;
  bool Add(const Account& account, bool hashed_names);
  bool IdOf(Hasher& hasher, const AccountName& name, Id* id) const;

  HashValue key_;
  HashValue nobody_;            // the hash that no password has
  std::vector<Entry> entries_;  // by id; one is nobody's, so that there always is one
};

// A response, and what it was given for.
struct Attempt {
  Algorithm algorithm = Algorithm::kMd5;
  AccountName name;
  NonceFacts nonce;
  RequestFacts request;
  const HashValue* response = nullptr;
  bool sasl = false;         // with SASL's session hash
  std::string_view authzid;  // SASL's alone
};

enum class AttemptVerdict : std::uint8_t {
  kRight,
  kWrong,     // the user or the password; which, nobody is told
  kNoMemory,  // nothing is known
};

// Verifies a first response. With kRight *session_hash is H(A1), with which all further requests of
// the context are verified; otherwise it is empty. `operations`, if there is one, is added to. Any
// level, any thread.
AttemptVerdict VerifyAttempt(const Accounts& accounts, const Attempt& attempt,
                             HashValue* session_hash, Operations* operations = nullptr);

// Verifies a further request of a context, whose key is `session_hash`. As VerifyAttempt.
AttemptVerdict VerifyRequest(const HashValue& session_hash, const NonceFacts& nonce,
                             const RequestFacts& request, const HashValue& response,
                             Hasher& hasher);

// The accounts of a file, which may change while it is in use.
class AccountStore {
 public:
  AccountStore(std::string path, bool hashed_names)
      : path_(std::move(path)), hashed_names_(hashed_names) {}

  // Reads the file. If that fails, the accounts stay those of the last time. kContract: no file of
  // accounts (*fault says where); kIo, kResource. Passive level, any thread.
  Status Load(AccountFault* fault) KTLSIM_EXCLUDES(lock_);

  // Null before the first Load that succeeds. What is handed out stays as it is. Any thread.
  std::shared_ptr<const Accounts> accounts() const KTLSIM_EXCLUDES(lock_);

 private:
  const std::string path_;
  const bool hashed_names_;
  mutable Mutex lock_;
  std::shared_ptr<const Accounts> accounts_ KTLSIM_GUARDED_BY(lock_);
};

}  // namespace ktlsim::digest
