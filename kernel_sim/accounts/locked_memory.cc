#include "kernel_sim/accounts/locked_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include <openssl/crypto.h>

namespace ktlsim::accounts {
namespace {

// Null: not all of it is to be had.
void* MapLocked(std::size_t bytes) {
  void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  if (mlock(at, bytes) == 0 && madvise(at, bytes, MADV_DONTDUMP) == 0 &&
      madvise(at, bytes, MADV_WIPEONFORK) == 0) {
    return at;
  }
  munmap(at, bytes);
  return nullptr;
}

}  // namespace

std::shared_ptr<const LockedSecrets> LockedSecrets::Make(const Views& texts) {
  std::size_t bytes = 1;
  for (const std::string_view text : texts) bytes += text.size();
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  bytes = (bytes / page + 1) * page;
  void* const at = MapLocked(bytes);
  if (at == nullptr) return nullptr;
  std::unique_ptr<LockedSecrets> made(new (std::nothrow) LockedSecrets(at, bytes));
  if (made == nullptr) {
    munmap(at, bytes);
    return nullptr;
  }
  auto* to = static_cast<char*>(at);
  *to++ = kHere;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    texts[i].copy(to, texts[i].size());
    made->texts_[i] = {to, texts[i].size()};
    to += texts[i].size();
  }
  try {
    return std::shared_ptr<const LockedSecrets>(std::move(made));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

LockedSecrets::~LockedSecrets() {
  OPENSSL_cleanse(at_, bytes_);
  munmap(at_, bytes_);
}

}  // namespace ktlsim::accounts
