// SecretText: a password on its way. It is wiped when it goes away, and never copied by accident.
//
// One thread at a time; making one allocates.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <openssl/crypto.h>

namespace ktlsim::accounts {

class SecretText {
 public:
  SecretText() = default;
  // Throws std::bad_alloc.
  explicit SecretText(std::string_view text)
      : bytes_(std::make_unique<char[]>(text.size())), size_(text.size()) {
    text.copy(bytes_.get(), text.size());
  }
  SecretText(SecretText&& other) noexcept
      : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}
  SecretText& operator=(SecretText&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~SecretText() { Wipe(); }

  std::string_view view() const { return {bytes_.get(), size_}; }
  std::span<char> bytes() { return {bytes_.get(), size_}; }
  // It is empty afterwards.
  void Wipe() {
    if (bytes_ != nullptr) OPENSSL_cleanse(bytes_.get(), size_);
    size_ = 0;
  }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

}  // namespace ktlsim::accounts
