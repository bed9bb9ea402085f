// Loads and stores in byte images, which are little-endian and aligned to four bytes at most.
//
// Private to security/.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>

namespace ktlsim::security {

static_assert(std::endian::native == std::endian::little, "images are little-endian");

template <typename Number>
Number Load(const std::byte* at) {
  Number number;
  std::memcpy(&number, at, sizeof(number));
  return number;
}

// From memory that another thread may be changing: the compiler does not read it a second time, in
// the belief that it would find the same.
template <typename Number>
Number LoadOnce(const std::byte* at) {
  Number number = Load<Number>(at);
  asm volatile("" : "+r"(number));
  return number;
}

template <typename Number>
void Store(std::byte* at, Number number) {
  std::memcpy(at, &number, sizeof(number));
}

}  // namespace ktlsim::security
