// Texts of callers, in UTF-8 or UTF-16, that are secret: they are read into memory of the caller's
// stack, which is wiped. Private to this folder.
#pragma once

#include <ktlsim/security.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace ktlsim::authority {

class SecretRoom {
 public:
  static constexpr std::size_t kUnitsMax = 1024;

  SecretRoom() = default;
  SecretRoom(const SecretRoom&) = delete;
  SecretRoom& operator=(const SecretRoom&) = delete;
  ~SecretRoom();

  // In UTF-8, in this memory. Null is empty. None: it has more than kUnitsMax units before its end,
  // or is malformed; no unit after these is looked at.
  std::optional<std::string_view> Read(const char* text);
  std::optional<std::string_view> Read(const WCHAR* text);

 private:
  std::array<char, 3 * kUnitsMax> bytes_{};
  std::size_t used_ = 0;
};

}  // namespace ktlsim::authority
