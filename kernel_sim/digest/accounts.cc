#include "kernel_sim/digest/accounts.h"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

#include <openssl/crypto.h>

#include "kernel_sim/base/file.h"

namespace ktlsim::digest {
namespace {

std::string_view AsText(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::uint64_t NumberOf(Bytes bytes) {
  std::uint64_t number = 0;
  for (const std::uint8_t byte : bytes) number = (number << 8) | byte;
  return number;
}

// All bits set if the two are the same, else none, without a branch.
std::uint64_t SameMask(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t difference = a ^ b;
  return ((difference | (0 - difference)) >> 63) - 1;
}

}  // namespace

Accounts::~Accounts() {
  if (!entries_.empty()) OPENSSL_cleanse(entries_.data(), entries_.size() * sizeof(Entry));
}

std::shared_ptr<const Accounts> Accounts::Build(const AccountFile& file, bool hashed_names) {
  std::array<std::uint8_t, 2 * kHashBytesMax> drawn{};
  if (!FillRandom(drawn)) return nullptr;
  const std::shared_ptr<Accounts> accounts(new Accounts());
  accounts->key_ = HashValue(Bytes(drawn).first(kHashBytesMax));
  accounts->nobody_ = HashValue(Bytes(drawn).last(kHashBytesMax));
  OPENSSL_cleanse(drawn.data(), drawn.size());
  // At once: a block that grows leaves copies behind.
  accounts->entries_.reserve(1 + file.size() * (hashed_names ? 2 : 1));
  accounts->entries_.emplace_back();
  std::ranges::copy(accounts->nobody_.bytes(), accounts->entries_.front().hash.begin());
  bool good = true;
  file.ForEach(
      [&](const Account& account) { good = good && accounts->Add(account, hashed_names); });
  if (!good) return nullptr;
  std::ranges::sort(accounts->entries_,
                    [](const Entry& a, const Entry& b) { return a.id.IsBelow(b.id); });
  return accounts;
}

bool Accounts::Add(const Account& account, bool hashed_names) {
  Hasher hasher(HashId::kSha256);
  Entry entry;
  std::ranges::copy(account.hash.bytes(), entry.hash.begin());
  const AccountName plain = {.hash_id = account.hash_id,
                             .username = account.user,
                             .username_hashed = false,
                             .realm = account.realm};
  if (!IdOf(hasher, plain, &entry.id)) return false;
  entries_.push_back(entry);
  if (!hashed_names) return true;
  Hasher name_hasher(account.hash_id);
  HashValue name_hash;
  if (!ComputeUserHash(name_hasher, account.user, account.realm, &name_hash)) return false;
  const HexText digits(name_hash);
  AccountName hashed = plain;
  hashed.username = digits.view();
  hashed.username_hashed = true;
  if (!IdOf(hasher, hashed, &entry.id)) return false;
  entries_.push_back(entry);
  return true;
}

bool Accounts::IdOf(Hasher& hasher, const AccountName& name, Id* id) const {
  // A hashed name may come in digits of either case; one that is no hash names nobody.
  HashValue name_hash;
  if (name.username_hashed && !ParseHex(name.username, name.hash_id, &name_hash)) {
    name_hash = nobody_;
  }
  const std::uint8_t kind[] = {static_cast<std::uint8_t>(name.hash_id),
                               static_cast<std::uint8_t>(name.username_hashed ? 1 : 0)};
  std::array<std::uint8_t, 8> length{};
  for (std::size_t i = 0; i < length.size(); ++i) {
    length[i] = static_cast<std::uint8_t>(name.realm.size() >> (8 * i));
  }
  HashValue code;
  if (!hasher.Hmac(key_.bytes(),
                   {AsText(kind), AsText(length), name.realm,
                    name.username_hashed ? name_hash.raw() : name.username},
                   &code)) {
    return false;
  }
  *id = {.high = NumberOf(code.bytes().first(8)), .low = NumberOf(code.bytes().subspan(8, 8))};
  return true;
}

std::optional<bool> Accounts::Find(const AccountName& name, HashValue* account_hash,
                                   Operations* operations) const {
  Hasher hasher(HashId::kSha256);
  Id id;
  if (!IdOf(hasher, name, &id)) return std::nullopt;
  // A binary search that takes as many steps for each name, and compares once at its end.
  std::size_t first = 0;
  std::size_t count = entries_.size();
  unsigned steps = 0;
  while (count > 1) {
    const std::size_t half = count / 2;
    first += id.IsBelow(entries_[first + half].id) ? 0 : half;
    count -= half;
    ++steps;
  }
  const Entry& entry = entries_[first];
  const std::uint64_t same = SameMask(entry.id.high, id.high) & SameMask(entry.id.low, id.low);
  const auto mask = static_cast<std::uint8_t>(same);
  std::array<std::uint8_t, kHashBytesMax> hash{};
  const Bytes nobody = nobody_.bytes();
  for (std::size_t i = 0; i < hash.size(); ++i) {
    hash[i] = static_cast<std::uint8_t>((entry.hash[i] & mask) | (nobody[i] & ~mask));
  }
  *account_hash = HashValue(Bytes(hash).first(HashBytes(name.hash_id)));
  OPENSSL_cleanse(hash.data(), hash.size());
  operations->look_ups += 1;
  operations->steps += steps;
  operations->hashes += hasher.hashes();
  return mask != 0;
}

AttemptVerdict VerifyRequest(const HashValue& session_hash, const NonceFacts& nonce,
                             const RequestFacts& request, const HashValue& response,
                             Hasher& hasher) {
  HashValue expected;
  if (!ComputeResponse(hasher, session_hash, nonce, request, &expected)) {
    return AttemptVerdict::kNoMemory;
  }
  return ConstantTimeEqual(expected.raw(), response.raw()) ? AttemptVerdict::kRight
                                                           : AttemptVerdict::kWrong;
}

AttemptVerdict VerifyAttempt(const Accounts& accounts, const Attempt& attempt,
                             HashValue* session_hash, Operations* operations) {
  Operations own;
  Operations& counted = operations == nullptr ? own : *operations;
  *session_hash = HashValue();
  AccountName name = attempt.name;
  name.hash_id = HashOf(attempt.algorithm);
  HashValue account_hash;
  const std::optional<bool> known = accounts.Find(name, &account_hash, &counted);
  if (!known.has_value()) return AttemptVerdict::kNoMemory;
  Hasher hasher(name.hash_id);
  HashValue session;
  const bool good = attempt.sasl
                        ? ComputeSaslSessionHash(hasher, account_hash, attempt.nonce.nonce,
                                                 attempt.nonce.cnonce, attempt.authzid, &session)
                        : ComputeSessionHash(hasher, attempt.algorithm, account_hash,
                                             attempt.nonce.nonce, attempt.nonce.cnonce, &session);
  if (!good) return AttemptVerdict::kNoMemory;
  const AttemptVerdict verdict =
      VerifyRequest(session, attempt.nonce, attempt.request, *attempt.response, hasher);
  counted.hashes += hasher.hashes();
  counted.compares += 1;
  if (verdict == AttemptVerdict::kNoMemory) return verdict;
  // Nobody's hash has no password; whoever guessed it all the same is still nobody.
  if (verdict == AttemptVerdict::kWrong || !*known) return AttemptVerdict::kWrong;
  *session_hash = session;
  return AttemptVerdict::kRight;
}

Status AccountStore::Load(AccountFault* fault) {
  *fault = {};
  const Result<FileText> read = ReadFile(path_.c_str(), kAccountFileBytesMax);
  if (!read.ok()) return read.status();
  AccountFile file;
  if (!file.Parse(read.value().text(), fault)) {
    return {Category::kContract, 0, "the file is no file of accounts"};
  }
  std::shared_ptr<const Accounts> accounts = Accounts::Build(file, hashed_names_);
  if (accounts == nullptr) return ResourceError("prepare the accounts");
  const MutexLock lock(lock_);
  accounts_ = std::move(accounts);
  return {};
}

std::shared_ptr<const Accounts> AccountStore::accounts() const {
  const MutexLock lock(lock_);
  return accounts_;
}

}  // namespace ktlsim::digest
