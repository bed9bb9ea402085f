#include "tls/record/secret.h"

#include <algorithm>

#include <openssl/crypto.h>

#include "kernel_sim/base/assert.h"

namespace ktlsim::tls {

void Wipe(std::span<std::byte> bytes) { OPENSSL_cleanse(bytes.data(), bytes.size()); }
void Wipe(std::span<std::uint8_t> bytes) { OPENSSL_cleanse(bytes.data(), bytes.size()); }

Secret::Secret(std::span<const std::uint8_t> bytes) {
  KTLSIM_CHECK(bytes.size() <= kBytesMax);
  std::ranges::copy(bytes, bytes_.begin());
  size_ = static_cast<std::uint8_t>(bytes.size());
}

Secret::Secret(Secret&& other) noexcept : bytes_(other.bytes_), size_(other.size_) {
  other.Clear();
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    bytes_ = other.bytes_;
    size_ = other.size_;
    other.Clear();
  }
  return *this;
}

void Secret::Resize(std::size_t size) {
  KTLSIM_CHECK(size <= kBytesMax);
  Clear();
  size_ = static_cast<std::uint8_t>(size);
}

void Secret::Clear() {
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
  size_ = 0;
}

}  // namespace ktlsim::tls
