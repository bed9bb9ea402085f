// LockedSecrets: texts in memory that is never written to a swap device, is not in a core dump, and
// is zeros in a forked child. They are wiped with it.
//
// What a newcomer gets wrong: how much memory may be locked is limited (RLIMIT_MEMLOCK), and each
// of these takes a page.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

namespace ktlsim::accounts {

class LockedSecrets {
 public:
  static constexpr std::size_t kTexts = 3;
  using Views = std::array<std::string_view, kTexts>;

  // Null: the system does not lock so much, or has no memory.
  static std::shared_ptr<const LockedSecrets> Make(const Views& texts);
  ~LockedSecrets();
  LockedSecrets(const LockedSecrets&) = delete;
  LockedSecrets& operator=(const LockedSecrets&) = delete;

  // They live as long as this. Any thread. In a forked child the bytes are zeros.
  const Views& texts() const { return texts_; }
  // In a forked child.
  bool wiped() const { return *static_cast<const volatile char*>(at_) != kHere; }

 private:
  static constexpr char kHere = 1;  // the first byte of the memory

  LockedSecrets(void* at, std::size_t bytes) : at_(at), bytes_(bytes) {}

  void* const at_;
  const std::size_t bytes_;
  Views texts_;
};

}  // namespace ktlsim::accounts
