// GUIDs: the names of kinds of objects, sets of properties and properties in object ACEs.
//
// Any level, any thread, no state, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ktlsim::security {

// The layout of Windows' GUID.
struct Guid {
  std::uint32_t data1 = 0;
  std::uint16_t data2 = 0;
  std::uint16_t data3 = 0;
  std::array<std::uint8_t, 8> data4{};

  friend bool operator==(const Guid&, const Guid&) = default;
};
static_assert(sizeof(Guid) == 16 && alignof(Guid) == 4);

// 8-4-4-4-12 hexadecimal digits in lower case, without braces.
class GuidText {
 public:
  explicit GuidText(const Guid& guid);
  std::string_view view() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, 36> text_;
};

// Reads all of `text`, in either case. False: it is none, *guid is unchanged.
bool ParseGuid(std::string_view text, Guid* guid);

}  // namespace ktlsim::security
